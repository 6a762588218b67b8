"""The proxy handler's own promises: what it hands on, and what it doesn't."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from parity.targets.arms import Arm
from tests.promises.upstream import KEY, MODEL, Upstream, ask, completion, config, proxy, question, said

LISTED = {
    "object": "list",
    "data": [{"id": "file-1", "object": "file", "purpose": "batch"}],
    "has_more": False,
}


async def test_a_request_is_forwarded_with_its_body(arm: Arm) -> None:
    """What the client asked arrives upstream: messages, known and unknown parameters, nothing added to them."""
    upstream = Upstream()
    body = question("Hello?", temperature=0.25, stop=["\n\n"], a_parameter_of_next_year={"deep": [1, None]})
    async with proxy(arm, upstream) as client:
        answer = await client.post("/v1/chat/completions", json=body)
    assert said(answer) == "Hello?"
    (request,) = upstream.requests
    assert (request.method, request.url.path) == ("POST", "/v1/chat/completions")
    sent = json.loads(request.content)
    sent.pop("extra_headers", None)
    beside = sent.pop("extra_body", {})  # LiteLLM copies it into the body
    assert {**sent, **beside, "model": MODEL} == body


async def forwarded(arm: Arm, path: str) -> tuple[httpx.Response, list[httpx.Request]]:
    upstream = Upstream(lambda *_: httpx.Response(200, json=LISTED))
    async with proxy(arm, upstream) as client:
        return await client.get(path), upstream.requests


async def test_get_is_forwarded(arm: Arm) -> None:
    """A GET of a data route is handed on without a body and its answer handed back; the sdk proxy has none."""
    answer, requests = await forwarded(arm, "/v1/files")
    if arm == "sdk":
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unsupported_route")
        assert requests == []
    else:
        assert (answer.status_code, answer.json()) == (200, LISTED)
        assert [(r.method, r.url.path, r.content) for r in requests] == [("GET", "/v1/files", b"")]


async def test_the_query_string_is_preserved(arm: Arm) -> None:
    """Order, repeats, escapes and empty values of a query go up as the client wrote them."""
    query = "order=asc&limit=2&after=file%2D1&include=a&include=b%20c&filter="
    answer, requests = await forwarded(arm, f"/v1/vector_stores/vs_1/files?{query}")
    if arm == "sdk":
        assert answer.status_code == 404
        assert requests == []
    else:
        assert [r.url.query.decode() for r in requests] == [query]


@pytest.mark.parametrize("body", ["", "{", '{"model": }', "[1, 2", "\x00", '{"model": NaN}'])
async def test_invalid_json_is_refused(arm: Arm, body: str) -> None:
    """A body that is no JSON is a 400 in the envelope, and nobody is asked."""
    upstream = Upstream()
    async with proxy(arm, upstream) as client:
        answer = await client.post("/v1/chat/completions", content=body.encode())
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)
    assert upstream.requests == []


async def test_an_error_is_handed_on(arm: Arm) -> None:
    """What upstream refuses keeps its status and sentence; an upstream that isn't there is a 502."""
    refusal = {"message": "No seats left.", "type": "server_error", "param": None, "code": None}

    def answer(request: httpx.Request, body: Any) -> httpx.Response:
        if body["messages"][-1]["content"] == "gone":
            raise httpx.ConnectError("All connection attempts failed", request=request)
        return httpx.Response(503, json={"error": refusal})

    async with proxy(arm, Upstream(answer)) as client:
        refused, gone = await ask(client, "a seat"), await ask(client, "gone")
    assert (refused.status_code, refused.json()["error"]["message"]) == (503, "No seats left.")
    assert refused.json()["error"]["type"] == "overloaded_error"
    assert (gone.status_code, gone.json()["error"]["code"]) == (502, "bad_gateway")
    assert set(gone.json()["error"]) == {"message", "type", "param", "code"}


def remembering(request: httpx.Request, body: Any) -> httpx.Response:
    """The store and the model in one: the model repeats all the text that it was given."""
    if request.url.path == "/v4/profile":
        return httpx.Response(200, json={"profile": {"static": [f"{body['containerTag']} likes tea."]}})
    return completion(json.dumps(body["messages"]))


def with_memory() -> dict[str, Any]:
    store = {"enabled": True, "base_url": "http://store.invalid", "api_key": "of-the-store"}
    return {**config(), "context_retrieval": store}


async def test_with_memory(arm: Arm) -> None:
    """With context retrieval the user's memories are in what the model gets, and a header says so."""
    upstream = Upstream(remembering)
    async with proxy(arm, upstream, with_memory()) as client:
        answer = await ask(client, "What do I like?", x_memory_user_id="ada")
    assert "ada likes tea." in said(answer)
    assert "What do I like?" in said(answer)
    assert answer.headers["x-memory"] == "hit"
    assert [r.url.path for r in upstream.requests] == ["/v4/profile", "/v1/chat/completions"]


async def test_without_memory(arm: Arm) -> None:
    """Without context retrieval nothing is looked up, and the model gets the question alone."""
    upstream = Upstream(remembering)
    async with proxy(arm, upstream) as client:
        answer = await ask(client, "What do I like?", x_memory_user_id="ada")
    assert json.loads(said(answer)) == [{"role": "user", "content": "What do I like?"}]
    assert "x-memory" not in answer.headers
    assert len(upstream.requests) == 1


async def test_the_clients_key_stays_here(arm: Arm) -> None:
    """Upstream sees a key of the proxy's own and none that the client sent, by whichever header."""
    upstream = Upstream()
    mine = {"cookie": "session=of-the-client", "x-api-key": KEY}
    document = config()
    document["model_list"][0]["litellm_params"]["api_key"] = "of-the-provider"
    async with proxy(arm, upstream, document) as client:
        answer = await client.post("/v1/chat/completions", json=question("Hello?"), headers=mine)
    assert said(answer) == "Hello?"
    (request,) = upstream.requests
    assert request.headers["authorization"] == f"Bearer {BEHIND[arm]}"
    assert KEY not in "".join(request.headers.values())
    assert not {"cookie", "x-api-key"} & set(request.headers)


BEHIND = {"binary": "sk-of-the-litellm-process-0123456789", "sdk": "of-the-provider"}
"""The key that opens what is behind: the LiteLLM process or the provider."""

"""What steers LiteLLM is refused at every depth at which it obeys, by lists that the installed LiteLLM gives."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import pytest

from proxies.config.models import LITELLM_TOOLS
from proxies.errors import ProxyError
from proxies.front import steering, tools
from proxies.front.steering import check_steering, has_own_file_search
from proxies.support.generated_lists import of_installed
from tests.proxies.front.fakes import make_config

GATEWAY = "https://anywhere.example/mcp/tickets"


def refused(body: dict[str, Any], **options: Any) -> str | None:
    """The parameter for which it is refused; None when it isn't."""
    try:
        check_steering(body, **options)
    except ProxyError as error:
        return error.param if error.status == 400 and str(error.param) in error.message else "(said wrongly)"
    return None


@pytest.fixture(scope="module")
def generated() -> dict[str, list[str]]:
    pytest.importorskip("litellm")
    from proxies.front import steering_names

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        return steering_names.generate()


@pytest.mark.parametrize("which", ["names", "in_tools", "file_search"])
def test_lists_match_the_installed_litellm(generated: dict[str, list[str]], which: str) -> None:
    """Regenerating changes nothing; otherwise run `python -m proxies.front.steering_names`."""
    assert generated[which] == of_installed(steering.FILE).get(which)


def test_the_source_is_read_for_what_tools_hold() -> None:
    """A key that LiteLLM takes out of a tool is found however the tool is called, and nothing else is."""
    from proxies.front import steering_names

    source = """
        advisor_tool.get("api_key"); tool["api_base"]; t.pop('base_url', None); _tool_dict.get("client")
        total.get("no"); target["no"]; toolbox.get("no"); data.get("no")
    """
    assert steering_names.taken(steering_names.OUT_OF_TOOLS, [source]) == {
        "api_key",
        "api_base",
        "base_url",
        "client",
    }


def test_litellm_acts_on_no_other_tools() -> None:
    """Of what intercepts a message there is only the advisor, and its type and the gateway's address are known here."""
    pytest.importorskip("litellm")
    from proxies.front.steering_names import messages_package

    get_messages_interceptors = resolve_name(messages_package(".interceptors:get_messages_interceptors"))
    from litellm.types.llms.anthropic import ANTHROPIC_ADVISOR_TOOL_TYPE

    assert [type(i).__name__ for i in get_messages_interceptors()] == ["AdvisorOrchestrationHandler"]
    assert refused({"tools": [{"type": ANTHROPIC_ADVISOR_TOOL_TYPE}]}) == "tools[0].type"


@pytest.mark.parametrize(
    "url",
    [
        "litellm_proxy",
        "litellm_proxy/mcp/tickets",
        "litellm_proxyanything",
        GATEWAY,
        "http://h/mcp/x",
        "https://h:1/a/b/mcp/x?y",
        "https://h/mcp/x#y",
        "https://h/mcp/mcp/x",
        "https://h/mcp/x\n",
        "https://h/mcp/\n",
    ],
)
def test_every_address_of_the_gateway_is_known(url: str) -> None:
    """Whatever LiteLLM takes for its own gateway is refused."""
    pytest.importorskip("litellm")
    handler = pytest.importorskip("litellm.responses.mcp.litellm_proxy_mcp_handler", exc_type=ImportError)
    tool = {"type": "mcp", "server_url": url}
    assert handler.LiteLLM_Proxy_MCP_Handler.should_use_litellm_mcp_gateway([tool])
    assert refused({"tools": [tool]}) == "tools[0].server_url"


@pytest.mark.parametrize(
    "url", ["https://h/mcp", "https://h/mcp/", "https://h/mcp/x/sse", "https://h/v1/tools", None, 1, {}]
)
def test_other_mcp_servers_are_the_providers_to_call(url: Any) -> None:
    """A server that doesn't look like LiteLLM's gateway goes up as it is."""
    assert refused({"tools": [{"type": "mcp", "server_label": "x", "server_url": url}]}) is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"api_base": None}, "api_base"),
        ({"litellm_anything": 1}, "litellm_anything"),
        ({"_private": 1}, "_private"),
        ({"metadata": {"langfuse_host": "x"}}, "metadata.langfuse_host"),
        ({"metadata": '{"api_base": "x"}'}, "metadata.api_base"),
        ({"metadata": "[" * 100_000}, "metadata"),
        ({"tools": [{}, {"api_key": "x"}]}, "tools[1].api_key"),
        ({"tools": [{"type": "function", "litellm_params": {}}]}, "tools[0].litellm_params"),
        ({"tools": [{"type": "namespace", "tools": [{"api_base": "x"}]}]}, "tools[0].tools[0].api_base"),
        (
            {"tools": [{"tools": [{"tools": [{"server_url": GATEWAY}]}]}]},
            "tools[0].tools[0].tools[0].server_url",
        ),
        (
            {"input": [{}, {"type": "additional_tools", "tools": [{"server_url": GATEWAY}]}]},
            "input[1].tools[0].server_url",
        ),
        ({"input": [{"tools": [{"type": "advisor_x"}]}]}, "input[0].tools[0].type"),
        ({"container": {"skills": [{}, {"skill_id": "litellm_skill_1"}]}}, "container.skills[1].skill_id"),
    ],
)
def test_refused_where_it_stands(body: dict[str, Any], param: str) -> None:
    """The sentence and `param` name the place as clients write it; a secret in a name is masked."""
    assert refused(body) == param


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"tags": ["a"], "user_id": "x", "session_id": "y", "team": "z"}},
        {"metadata": None, "tools": None, "input": "text", "container": "c_1"},
        {"tools": ["x", {"type": "mcp", "headers": {"a": "b"}, "server_url": "https://h/mcp"}]},
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"properties": {"api_key": {}}}}}
            ]
        },
        {"tools": [{"type": "image_generation", "model": "gpt-image-1"}, {"type": "web_search_20250305"}]},
        {"input": [{"type": "function_call", "arguments": '{"tools": [{"type": "advisor_x"}]}'}, "x"]},
        {"container": {"skills": [{"skill_id": "pptx"}, "x"]}},
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "input": {"tools": [{"api_key": "x"}]}}],
                }
            ]
        },
    ],
)
def test_what_only_looks_like_it_passes(body: dict[str, Any]) -> None:
    """Where LiteLLM doesn't obey, the same names are the provider's business, or the model's."""
    assert refused(body) is None


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("advisor", {"tools": [{"type": "advisor_20260301", "model": "x"}]}),
        ("file_search", {"tools": [{"type": "file_search"}]}),
        ("mcp", {"tools": [{"type": "mcp", "server_url": GATEWAY}]}),
        ("skills", {"container": {"skills": [{"skill_id": "litellm_skill_1"}]}}),
    ],
)
def test_the_configuration_can_allow_it(what: str, body: dict[str, Any]) -> None:
    """Each kind by its name, and no other by it; the sentence says what to write."""
    others = set(LITELLM_TOOLS) - {what}
    assert refused(body, allowed_tools={what}, file_search_is_native=lambda: False) is None
    assert refused(body, allowed_tools=others, file_search_is_native=lambda: False) is not None
    with pytest.raises(ProxyError, match=rf"litellm_tools: \[{what}\]"):
        check_steering(body, file_search_is_native=lambda: False)


def test_an_allowed_advisor_still_brings_no_key() -> None:
    """What is allowed is the call, never an address or a key of the client's."""
    tool = {"type": "advisor_20260301", "model": "x", "api_key": "y"}
    assert refused({"tools": [tool]}, allowed_tools={"advisor"}) == "tools[0].api_key"


def test_every_kind_can_be_allowed() -> None:
    """The names of the configuration are those of the table."""
    body = {
        "tools": [{"type": "advisor_x"}, {"type": "file_search"}, {"server_url": GATEWAY}],
        "container": {"skills": [{"skill_id": "litellm_skill_1"}]},
    }
    assert {what for _, what in tools.acting(body, file_search_is_native=lambda: False)} == set(LITELLM_TOOLS)


@pytest.mark.parametrize(
    ("params", "native"),
    [
        ({"model": "openai/gpt-4o"}, True),
        ({"model": "azure/x"}, True),
        ({"model": "x", "custom_llm_provider": "openai"}, True),
        ({"model": "openai/gpt-4o", "use_chat_completions_api": True}, False),
        ({"model": "anthropic/claude"}, False),
        ({"model": "gpt-4o"}, False),
    ],
)
def test_who_has_a_file_search(params: dict[str, Any], native: bool) -> None:
    """By what the configuration says of the provider; every deployment of a group has to have it."""
    right = {"model_name": "a", "litellm_params": {"model": "openai/x"}}
    config = make_config(model_list=[right, {"model_name": "a", "litellm_params": params}])
    assert has_own_file_search(config.group("a")) is native


def test_who_has_a_file_search_is_asked_for_that_tool_alone() -> None:
    """Every other request goes without the question."""
    asked: list[None] = []

    def native() -> bool:
        asked.append(None)
        return True

    check_steering({"tools": [{"type": "web_search"}], "model": "a"}, file_search_is_native=native)
    assert not asked
    check_steering({"tools": [{"type": "file_search"}]}, file_search_is_native=native)
    assert asked


def test_safe_names_pass() -> None:
    """What clients legitimately send is not on the list."""
    names = (
        "metadata",
        "user",
        "drop_params",
        "model",
        "messages",
        "stream",
        "n",
        "tools",
        "seed",
        "thinking",
        "mcp_servers",
        "container",
        "safety_identifier",
        "prompt_cache_key",
    )
    assert not any(steering.is_steering(name) for name in names)


def test_steering_names_do_not() -> None:
    """What moves LiteLLM is, in its own spelling only."""
    assert all(steering.is_steering(name) for name in ("api_base", "client", "self", "litellm_x", "_x"))
    assert not steering.is_steering("API_BASE")


@pytest.mark.parametrize(
    "name",
    [
        "callbacks",
        "context_window_fallbacks",
        "user_config",
        "mock_tool_calls",
        "model_group_retry_policy",
        # of its own list of what is banned, and what single providers take out of the parameters
        "aws_sts_endpoint",
        "sagemaker_base_url",
        "deployment_url",
        "watsonx_credentials",
        "url",
        "oci_key",
    ],
)
def test_what_stands_in_no_signature_steers_too(name: str) -> None:
    """Names that the router, the process or one provider's module obeys are refused."""
    assert steering.is_steering(name)


def test_metadata_labels_and_does_not_steer() -> None:
    """Labels pass; an address or a credential under `metadata` would move LiteLLM like one beside it."""
    assert not any(steering.is_steering_label(name) for name in ("tags", "user_id", "session_id", "team"))
    assert steering.is_steering_label("langsmith_base_url")

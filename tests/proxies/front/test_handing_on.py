"""What LiteLLM has to be given so that the provider gets what a client sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError
from proxies.front import handing_on
from proxies.front.handing_on import KEPT_OF_MESSAGES, hand_on, translated

SAID = [{"role": "user", "content": "hi"}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}


def config(*models: str | Mapping[str, Any], **sections: Any) -> ProxyConfig:
    """A configuration with the group `m` of these models, and a group of each by its own name."""
    params = [{"model": m} if isinstance(m, str) else dict(m) for m in models]
    entries = [{"model_name": "m", "litellm_params": p} for p in params[:1]]
    entries += [{"model_name": p["model"], "litellm_params": p} for p in params[1:]]
    return ProxyConfig.model_validate(
        {
            "model_list": entries,
            "general_settings": {"master_key": "sk-of-a-test-0123456789abcdef"},
            **sections,
        }
    )


def chat(**params: Any) -> dict[str, Any]:
    return {"model": "m", "messages": SAID, **params}


@pytest.mark.parametrize("name", sorted(handing_on.JUDGED))
@pytest.mark.parametrize("model", ["openai/gpt-5", "gpt-4o", "groq/llama", "together_ai/x"])
def test_a_parameter_goes_around_litellms_table(model: str, name: str) -> None:
    """LiteLLM copies it into the body as it is, and doesn't see it where it would judge."""
    value = ALLOWED if name == "tool_choice" else {"a": 1}
    handed = hand_on(chat(**{name: value}), "chat/completions", config(model))
    assert handed == chat(extra_body={name: value})


@pytest.mark.parametrize("choice", ["auto", {"type": "function", "function": {"name": "f"}}])
def test_a_choice_that_litellm_knows_stays(choice: Any) -> None:
    """A provider whose words differ gets it translated."""
    assert hand_on(chat(tool_choice=choice), "chat/completions", config("mistral/x")) == chat(
        tool_choice=choice
    )


def test_developer_messages() -> None:
    """They replace what LiteLLM makes of them, at OpenAI; elsewhere its translation stays."""
    said = [{"role": "developer", "content": "Be brief"}, *SAID]
    body = {"model": "m", "messages": said}
    assert hand_on(body, "chat/completions", config("openai/gpt-5")) == {
        **body,
        "extra_body": {"messages": said},
    }
    assert hand_on(body, "chat/completions", config("groq/llama")) == body


@pytest.mark.parametrize(
    ("model", "tools"),
    [("openai/gpt-5-pro", None), ("openai/o3-pro", None), ("openai/gpt-5.4", TOOLS), ("xai/gpt-6", TOOLS)],
)
def test_what_becomes_a_response_is_left_to_litellm(model: str, tools: Any) -> None:
    """It has to translate the parameters, which have other names there."""
    body = chat(verbosity="low", tools=tools)
    assert hand_on(body, "chat/completions", config(model)) == body


def test_web_search_at_xai() -> None:
    """LiteLLM asks a response for it."""
    body = chat(web_search_options={})
    assert hand_on(body, "chat/completions", config("xai/grok-4")) == body


@pytest.mark.parametrize(
    ("deployment", "sent", "sections"),
    [
        ({"model": "openai/o3"}, {"drop_params": True}, {}),
        ({"model": "openai/o3"}, {}, {"litellm_settings": {"drop_params": True}}),
        ({"model": "openai/o3", "drop_params": True}, {}, {}),
        ({"model": "openai/o3", "additional_drop_params": ["seed"]}, {}, {}),
    ],
)
def test_who_wants_to_drop_is_left_alone(
    deployment: dict[str, Any], sent: dict[str, Any], sections: dict[str, Any]
) -> None:
    """Then LiteLLM's table decides."""
    body = chat(seed=1, **sent)
    assert hand_on(body, "chat/completions", config(deployment, **sections)) == body


@pytest.mark.parametrize("key", ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"])
def test_a_fallback_with_another_api(key: str) -> None:
    """LiteLLM would send it `extra_body` as a parameter of that name."""
    routed = {"router_settings": {key: [{"m": ["anthropic/claude-x"]}]}}
    body = chat(seed=1)
    assert hand_on(body, "chat/completions", config("openai/o3", "anthropic/claude-x", **routed)) == body
    near = {"router_settings": {"default_fallbacks": ["groq/llama", "m"]}}
    assert "extra_body" in hand_on(body, "chat/completions", config("openai/o3", "groq/llama", **near))


def test_the_deployments_own_extra_body() -> None:
    """It stays, and the client's parameters come before it; where deployments differ, nothing is changed."""
    own = {"model": "openai/o3", "extra_body": {"seed": 1, "top_k": 2}}
    handed = hand_on(chat(seed=3), "chat/completions", config(own))
    assert handed["extra_body"] == {"seed": 3, "top_k": 2}
    routed = {"router_settings": {"fallbacks": [{"m": ["openai/o4"]}]}}
    assert hand_on(chat(seed=3), "chat/completions", config(own, "openai/o4", **routed)) == chat(seed=3)


def test_a_response() -> None:
    """Of OpenAI's models all goes around LiteLLM that it needn't read; others are asked a chat completion."""
    body = {"model": "m", "input": "hi", "temperature": 0.5, "brand_new": 1, "include": ["x"]}
    handed = hand_on(body, "responses", config("openai/gpt-5"))
    assert handed["extra_body"] == {"temperature": 0.5, "brand_new": 1}
    assert set(handed) == {"model", "input", "include", "extra_body"}
    bare = {"model": "m", "input": "hi"}
    assert hand_on(bare, "responses", config("openai/gpt-5")) == bare
    assert hand_on(body, "responses", config("groq/llama")) == body
    assert hand_on(body, "responses", config({"model": "openai/x", "use_chat_completions_api": True})) == body


@pytest.mark.parametrize("model", ["azure/gpt-4o", "mystery"])
@pytest.mark.parametrize("route", ["chat/completions", "messages", "embeddings"])
def test_other_providers_are_left_to_litellm(model: str, route: str) -> None:
    """Nobody has measured what reaches them."""
    assert hand_on(chat(seed=1), route, config(model)) == chat(seed=1)


@pytest.mark.parametrize("model", ["anthropic/claude-x", "claude-sonnet-4-5"])
def test_hints_end_before_claude(model: str) -> None:
    """And an identifier goes up as the user, unless there is one."""
    hints = {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "store": False}
    handed = hand_on(chat(**hints, safety_identifier="ann"), "chat/completions", config(model))
    assert handed == chat(user="ann")
    both = hand_on(chat(safety_identifier="ann", user="bea"), "chat/completions", config(model))
    assert both == chat(user="bea")
    assert hand_on(chat(store=True), "chat/completions", config(model)) == chat(store=True)


def test_service_tiers_of_claude() -> None:
    """LiteLLM lets one through on chat completions alone; elsewhere only what goes without saying is taken."""
    claude = config("anthropic/claude-x")
    handed = hand_on(chat(service_tier="standard_only"), "chat/completions", claude)
    assert handed == chat(service_tier="standard_only", allowed_openai_params=["service_tier"])
    assert hand_on({"model": "m", "service_tier": "default"}, "responses", claude) == {"model": "m"}
    assert hand_on({"model": "m", "service_tier": "auto"}, "messages", claude) == {"model": "m"}
    for route in ("responses", "messages"):
        with pytest.raises(ProxyError) as refused:
            hand_on({"model": "m", "service_tier": "flex"}, route, claude)
        assert (refused.value.status, refused.value.param) == (400, "service_tier")


@pytest.mark.parametrize("name", ["previous_response_id", "background"])
def test_claude_keeps_no_responses(name: str) -> None:
    """What builds on a kept one is refused by name, not left out."""
    with pytest.raises(ProxyError) as refused:
        hand_on({"model": "m", "input": "hi", name: True}, "responses", config("anthropic/claude-x"))
    assert (refused.value.status, refused.value.param) == (400, name)
    body = {"model": "m", "input": "hi", name: None}
    assert hand_on(body, "responses", config("anthropic/claude-x")) == body


def test_messages_for_claude() -> None:
    """What LiteLLM would drop is refused, unless the client asks for dropping; other routes are left alone."""
    claude = config("anthropic/claude-x")
    assert hand_on(chat(max_tokens=5, top_k=1), "messages", claude) == chat(max_tokens=5, top_k=1)
    dropped = hand_on(chat(brand_new=1, drop_params=True), "messages", claude)
    assert dropped == chat(drop_params=True)
    assert hand_on(chat(brand_new=1), "embeddings", claude) == chat(brand_new=1)


def test_the_lists_are_litellms() -> None:
    """The parameters that it hands on to Anthropic, and the models of which it asks a response."""
    pytest.importorskip("litellm")
    import litellm
    from litellm.types.llms.anthropic import AnthropicMessagesRequestOptionalParams

    assert {*AnthropicMessagesRequestOptionalParams.__annotations__, "model", "messages"} == KEPT_OF_MESSAGES
    for name, info in litellm.model_cost.items():
        if info.get("litellm_provider") == "openai" and info.get("mode") in ("chat", "responses"):
            assert translated(name, {}) is (info["mode"] == "responses"), name

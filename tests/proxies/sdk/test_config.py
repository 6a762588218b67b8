from __future__ import annotations

from typing import Any

import pytest

from proxies.config.models import Deployment, ProxyConfig
from proxies.sdk.config import sdk_problems


def _config(params: dict[str, Any] | None = None, **sections: Any) -> ProxyConfig:
    extra = sections.pop("deployment", {})
    deployment = Deployment(model_name="gpt", litellm_params={"model": "openai/x", **(params or {})}, **extra)
    general = {"master_key": "sk-a-key-of-the-tests", **sections.pop("general_settings", {})}
    return ProxyConfig(model_list=(deployment,), general_settings=general, **sections)


@pytest.mark.parametrize(
    "config",
    [
        _config(),
        _config({"api_base": "http://x", "temperature": 0.5, "weight": 2, "timeout": 5, "extra_headers": {}}),
        _config({"num_retries": 0, "max_retries": 0, "rpm": None, "fallbacks": []}),
        _config(general_settings={"forward_client_headers_to_llm_api": True, "cancel_on_disconnect": True}),
        _config(general_settings={"max_request_size_mb": 1, "alerting": []}),
        _config(
            litellm_settings={
                "drop_params": True,
                "request_timeout": 30,
                "num_retries": 0,
                "set_verbose": True,
                "use_chat_completions_url_for_anthropic_messages": True,
                "disable_hf_tokenizer_download": True,
            }
        ),
        _config(router_settings={"num_retries": 0, "disable_cooldowns": True, "timeout": 3}),
        _config(router_settings={"routing_strategy": "simple-shuffle", "fallbacks": []}),
        _config(
            {"num_retries": 2, "stream_timeout": 3}, router_settings={"num_retries": 3, "retry_after": 1}
        ),
        _config(
            router_settings={"fallbacks": [{"gpt": ["gpt"]}], "context_window_fallbacks": [{"*": ["gpt"]}]}
        ),
        _config(litellm_settings={"num_retries": 3, "default_fallbacks": ["gpt"], "max_fallbacks": 2}),
        _config(other_sections={"guardrails": [], "mcp_servers": {}}),
    ],
)
def test_what_the_sdk_architecture_honours_is_no_problem(config: ProxyConfig) -> None:
    """Honoured, harmless and empty keys let it start."""
    assert sdk_problems(config) == []


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (_config({"rpm": 10}), "model_list[0].litellm_params.rpm"),
        (_config({"tpm": 10}), "model_list[0].litellm_params.tpm"),
        (_config({"fallbacks": ["x"]}), "model_list[0].litellm_params.fallbacks"),
        (_config({"num_retries": -1}), "model_list[0].litellm_params.num_retries"),
        (_config({"max_retries": 2}), "model_list[0].litellm_params.max_retries"),
        (_config({"stream_timeout": 0}), "model_list[0].litellm_params.stream_timeout"),
        (_config({"num_retries": False}), "model_list[0].litellm_params.num_retries"),
        (_config({"order": 0}), "model_list[0].litellm_params.order"),
        (_config(deployment={"rpm": 3}), "model_list[0].rpm"),
        (_config(general_settings={"database_url": "postgres://x"}), "general_settings.database_url"),
        (_config(general_settings={"cancel_on_disconnect": False}), "general_settings.cancel_on_disconnect"),
        (_config(litellm_settings={"callbacks": ["langfuse"]}), "litellm_settings.callbacks"),
        (
            _config(litellm_settings={"use_chat_completions_url_for_anthropic_messages": False}),
            "litellm_settings.use_chat_completions_url_for_anthropic_messages",
        ),
        (
            _config(litellm_settings={"disable_hf_tokenizer_download": False}),
            "litellm_settings.disable_hf_tokenizer_download",
        ),
        (_config(litellm_settings={"fallbacks": [{"a": ["b"]}]}), "litellm_settings.fallbacks"),
        (_config(litellm_settings={"fallbacks": ["gpt"]}), "litellm_settings.fallbacks"),
        (_config(litellm_settings={"num_retries": 1.5}), "litellm_settings.num_retries"),
        (_config(router_settings={"num_retries": True}), "router_settings.num_retries"),
        (_config(router_settings={"fallbacks": [{"gpt": "b"}]}), "router_settings.fallbacks"),
        (_config(router_settings={"default_fallbacks": ["b"]}), "router_settings.default_fallbacks"),
        (_config(router_settings={"max_fallbacks": "2"}), "router_settings.max_fallbacks"),
        (_config(litellm_settings={"request_timeout": "soon"}), "litellm_settings.request_timeout"),
        (_config(litellm_settings={"drop_params": "yes"}), "litellm_settings.drop_params"),
        (_config(litellm_settings={"cache": True}), "litellm_settings.cache"),
        (_config(router_settings={"routing_strategy": "least-busy"}), "router_settings.routing_strategy"),
        (_config(router_settings={"disable_cooldowns": False}), "router_settings.disable_cooldowns"),
        (_config(router_settings={"model_group_alias": {"a": "b"}}), "router_settings.model_group_alias"),
        (_config(environment_variables={"A": "b"}), "environment_variables.A"),
        (_config(other_sections={"guardrails": [{"guardrail_name": "x"}]}), "guardrails"),
    ],
)
def test_what_it_would_have_to_ignore_is_a_problem(config: ProxyConfig, where: str) -> None:
    """One sentence names the key that only the LiteLLM process obeys."""
    [problem] = sdk_problems(config)
    assert problem.startswith(f"{where}: ")

"""Finds what the sdk architecture would have to ignore in a LiteLLM config, so that it refuses to start.

The LiteLLM process obeys every key; the sdk architecture only what stands in the tables below. Keys that
can't change what a client or a provider sees are harmless; everything else is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from proxies.config.models import ProxyConfig
from proxies.sdk.router import fallback_names
from proxies.support.yamlfile import Loc

Check = Callable[[Any], str]
"""Says what a value would have to be; empty when it is right."""


def _any(_value: Any) -> str:
    return ""


def _number(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "" if value is None or (is_number and value > 0) else "must be a number of seconds above 0"


def _flag(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else "must be true or false"


def _router_only(_value: Any) -> str:
    return "is read by LiteLLM's router and can't be honoured"


def _only(*allowed: Any) -> Check:
    def check(value: Any) -> str:
        # Not `in`: 0 == False, and `num_retries: false` is no number of retries.
        right = value is None or any(value == a and type(value) is type(a) for a in allowed)
        return "" if right else f"can only be {' or '.join(str(a).lower() for a in allowed)}"

    return check


def _count(value: Any) -> str:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return "" if value is None or is_count else "must be a whole number, 0 or more"


def _fallbacks(value: Any) -> str:
    right = value is None or (
        isinstance(value, list)
        and all(isinstance(entry, dict) and all(map(_names, entry.values())) for entry in value)
    )
    return "" if right else "must be a list of `model: [other models]`"


def _default_fallbacks(value: Any) -> str:
    return "" if value is None or _names(value) else "must be a list of models"


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_FALLBACKS: Mapping[str, Check] = {
    "fallbacks": _fallbacks,
    "context_window_fallbacks": _fallbacks,
    "content_policy_fallbacks": _fallbacks,
    "default_fallbacks": _default_fallbacks,
    "max_fallbacks": _count,
}
_NO_RETRIES = _only(0)

GENERAL: Mapping[str, Check] = {
    "master_key": _any,
    "max_request_size_mb": _any,
    "litellm_tools": _any,
    "environment_routes": _any,
    "cors_origins": _any,
    # Always so: the headers on the allow-list travel, and a client that leaves cancels the call.
    "forward_client_headers_to_llm_api": _only(True),
    "cancel_on_disconnect": _only(True),
    # Streams are asked for as the client asks for them.
    "always_include_stream_usage": _only(False),
    # Harmless: spend logs need a database, health checks are the process's own.
    "disable_error_logs": _any,
    "disable_spend_logs": _any,
    "background_health_checks": _any,
    "health_check_interval": _any,
    "store_model_in_db": _only(False),
}

LITELLM: Mapping[str, Check] = {
    "drop_params": _flag,
    "request_timeout": _number,
    "num_retries": _count,
    **_FALLBACKS,
    "use_chat_completions_url_for_anthropic_messages": _only(True),
    "disable_hf_tokenizer_download": _only(True),
    "require_auth_for_metrics_endpoint": _flag,
    # Harmless: they change what LiteLLM prints or reports home.
    "json_logs": _any,
    "set_verbose": _any,
    "suppress_debug_info": _any,
    "telemetry": _any,
    "turn_off_message_logging": _any,
}

ROUTER: Mapping[str, Check] = {
    "disable_cooldowns": _only(True),
    "num_retries": _count,
    "retry_after": _count,
    "routing_strategy": _only("simple-shuffle"),
    "timeout": _number,
    "stream_timeout": _number,
    **_FALLBACKS,
    # Harmless: without cooldowns nothing reads them.
    "allowed_fails": _any,
    "cooldown_time": _any,
    "debug_level": _any,
    "set_verbose": _any,
    "cache_responses": _only(False),
    "enable_pre_call_checks": _only(False),
    "enable_tag_filtering": _only(False),
}

# Of `litellm_params` whatever `litellm.acompletion` takes is honoured, and `weight`. These are the Router's.
PARAMS: Mapping[str, Check] = {
    "num_retries": _count,
    "timeout": _number,
    "request_timeout": _number,
    "stream_timeout": _number,
    # A second loop inside the first; LiteLLM's Router turns it off, whatever the number.
    "max_retries": _NO_RETRIES,
    **dict.fromkeys(
        (
            "adaptive_router_config",
            "allowed_model_region",
            "auto_router_config",
            "auto_router_config_path",
            "auto_router_default_model",
            "auto_router_embedding_model",
            "budget_duration",
            "complexity_router_config",
            "complexity_router_default_model",
            "configurable_clientside_auth_params",
            "content_policy_fallbacks",
            "context_window_fallbacks",
            "cooldown_time",
            "default_api_key_rpm_limit",
            "default_api_key_tpm_limit",
            "default_fallbacks",
            "fallbacks",
            "guardrails",
            "itpm",
            "litellm_credential_name",
            "max_budget",
            "max_fallbacks",
            "max_file_size_mb",
            "max_parallel_requests",
            "order",
            "otpm",
            "prompt_id",
            "region_name",
            "retry_policy",
            "rpm",
            "tags",
            "tag_regex",
            "tpm",
            "use_in_pass_through",
        ),
        _router_only,
    ),
}

_INSTEAD = "use `memory-proxy binary`, or remove it"


def sdk_problems(config: ProxyConfig) -> list[str]:
    """One sentence a key that the sdk architecture can't honour; an empty list means that it may start."""
    return [f"{config.where(loc)}: {sentence}" for loc, sentence in _found(config)]


def _found(config: ProxyConfig) -> Iterator[tuple[Loc, str]]:
    for index, deployment in enumerate(config.model_list):
        at: Loc = ("model_list", index)
        for key, value in deployment.litellm_params.items():
            if key in PARAMS and value not in (None, [], {}):
                yield from _checked((*at, "litellm_params", key), PARAMS[key], value)
        for key in deployment.model_extra or {}:
            yield (*at, key), f"{_router_only(None)} in the sdk architecture; {_INSTEAD}"
    for section, table, settings in (
        ("general_settings", GENERAL, config.general_settings),
        ("litellm_settings", LITELLM, config.litellm_settings),
        ("router_settings", ROUTER, config.router_settings),
    ):
        for key, value in settings.items():
            if key in table:
                yield from _checked((section, key), table[key], value)
            elif value not in (None, False, [], {}):
                yield (section, key), f"the sdk architecture doesn't know it yet; {_INSTEAD}"
    yield from _unknown_fallbacks(config)
    for name in config.environment_variables:
        yield ("environment_variables", name), f"the sdk architecture sets none; export {name} instead"
    for name, content in config.other_sections.items():
        if content not in (None, [], {}):
            yield (name,), f"only the LiteLLM process has this; {_INSTEAD}"


def _unknown_fallbacks(config: ProxyConfig) -> Iterator[tuple[Loc, str]]:
    for section, settings in (
        ("router_settings", config.router_settings),
        ("litellm_settings", config.litellm_settings),
    ):
        for key in _FALLBACKS:
            value = settings.get(key)
            if not isinstance(value, list) or _FALLBACKS[key](value):
                continue
            named = value if key == "default_fallbacks" else fallback_names(value)
            if unknown := dict.fromkeys(repr(name) for name in named if not config.group(name)):
                yield (section, key), f"names {', '.join(unknown)}, of which the model_list knows nothing"


def _checked(loc: Loc, check: Check, value: Any) -> Iterator[tuple[Loc, str]]:
    wrong = check(value)
    if wrong:
        yield loc, f"{wrong} in the sdk architecture; {_INSTEAD}"

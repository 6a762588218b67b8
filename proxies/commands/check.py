"""Finds out what a configuration would do, as plain data for `memory-proxy check`: nothing is started, nobody is asked.

ProxyConfig ──checked──> {"config", "serves", "models", "routes", "memory", "users", "limits", "environment"}

Of secrets it says whether they are there. Addresses come without credentials and queries.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers

from proxies.config.clients import CLIENTS
from proxies.config.memory import ContextRetrieval
from proxies.config.models import ENVIRON, Deployment, ProxyConfig
from proxies.config.providers import provider_of
from proxies.errors import ProxyError
from proxies.front.families import FAMILIES, METHODS
from proxies.front.identity import identify
from proxies.front.routes import TABLE
from proxies.memory.sharing import sharing
from proxies.sdk.config import sdk_problems
from proxies.support.redact import redact_text, redact_url

_KEY_VARIABLES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "xai": "XAI_API_KEY",
}
"""Where LiteLLM looks for a key that the configuration doesn't give."""

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def checked(config: ProxyConfig, clients: Sequence[Headers] = ()) -> dict[str, Any]:
    """Everything that `config` decides, fit for JSON; `clients` are the headers of clients to be told apart, too.

    `serves` has for each architecture the sentences that speak against it, empty where it can serve.
    """
    sdk = [redact_text(problem) for problem in sdk_problems(config)]
    return {
        "config": str(config.path or ""),
        "serves": {"binary": [], "sdk": sdk},
        "models": [_model(config, name) for name in dict.fromkeys(d.model_name for d in config.model_list)],
        "routes": list(_routes(config)),
        "memory": _memory(config),
        "users": _users(config, clients),
        "limits": {"max_body_bytes": config.max_body_bytes, **config.limits.model_dump()},
        "environment": _environment(config),
    }


def headers_of(line: str) -> Headers:
    """`User-Agent: mine/1.0` as headers. Raises `ValueError` for what is none."""
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ValueError("give a header, such as 'User-Agent: mine/1.0'")
    return Headers({name.strip(): value.strip()})


def _model(config: ProxyConfig, name: str) -> dict[str, Any]:
    group = config.group(name)
    memory = config.memory_of(group)
    return {
        "name": redact_text(name),
        "deployments": [_deployment(config, deployment) for deployment in group],
        "fallbacks": _fallbacks(config, name),
        "memory": _store(config, memory) if memory.enabled and memory.models.allows(name) else None,
    }


def _deployment(config: ProxyConfig, deployment: Deployment) -> dict[str, Any]:
    params = deployment.litellm_params
    model = str(params["model"])
    provider = provider_of(params)
    base = params.get("api_base") or params.get("base_url")
    return {
        "model": redact_text(model),
        "provider": provider,
        "api_base": redact_url(base) if isinstance(base, str) else None,
        "key": _key(config, provider, params),
        "weight": params.get("weight"),
        "tells_supermemory": deployment.through_supermemory,
    }


def _key(config: ProxyConfig, provider: str, params: Mapping[str, Any]) -> str:
    """Where the provider's key comes from: `given`, `NAME is set`, `NAME is not set`, `none given`."""
    if params.get("api_key"):
        return "given"
    name = _KEY_VARIABLES.get(provider)
    if name is None:
        return "none given"
    return (
        f"{name} is {'set' if os.environ.get(name) or config.environment_variables.get(name) else 'not set'}"
    )


def _fallbacks(config: ProxyConfig, name: str) -> dict[str, list[str]]:
    """Who stands in for a model, by the key that says so; a key in the wrong form is `sdk_problems`' to tell."""
    found: dict[str, list[str]] = {}
    for key in _FALLBACKS:
        setting = config.router_settings.get(key) or config.litellm_settings.get(key)
        entries = [e for e in setting if isinstance(e, Mapping)] if isinstance(setting, list) else []
        by_name = {
            n: targets for e in reversed(entries) for n, targets in e.items() if isinstance(targets, list)
        }
        if targets := by_name.get(name, by_name.get("*")):
            found[key] = [redact_text(str(target)) for target in targets]
    defaults = config.router_settings.get("default_fallbacks") or config.litellm_settings.get(
        "default_fallbacks"
    )
    if isinstance(defaults, list) and "fallbacks" not in found:
        found["default_fallbacks"] = [redact_text(str(target)) for target in defaults]
    return found


def _routes(config: ProxyConfig) -> Iterator[dict[str, Any]]:
    for row in TABLE:
        paths = [row.path, row.path.removeprefix("/v1")] if row.bare else [row.path]
        yield {
            "methods": [row.method],
            "paths": [path.replace(":path}", "}") for path in paths],
            "key": not row.open,
            "binary": "served",
            "sdk": "served",
        }
    served = {
        name
        for name, family in FAMILIES.items()
        if not family.needs_provider("GET", "id") or config.serves(name)
    }
    for binary, names in (("forwarded", served), ("404 unsupported_route", FAMILIES.keys() - served)):
        if names:
            yield {
                "methods": list(METHODS),
                "paths": [f"/v1/{name}/…" for name in FAMILIES if name in names],
                "key": True,
                "binary": binary,
                "sdk": "404 unsupported_route",
            }


def _memory(config: ProxyConfig) -> dict[str, Any]:
    names = dict.fromkeys(d.model_name for d in config.model_list)
    settings = {name: config.memory_of(config.group(name)) for name in names}
    return {
        "enabled": config.context_retrieval.enabled,
        "retrieves_for": [n for n, own in settings.items() if own.enabled and own.models.allows(n)],
        "store": _store(config, config.context_retrieval),
    }


def _store(config: ProxyConfig, memory: ContextRetrieval) -> dict[str, Any]:
    if memory.store == "embedded":
        where = str(config.beside(memory.path or ""))
    elif memory.store == "shared":
        where = redact_url(config.shared_store.url if config.shared_store else "")
    else:
        where = redact_url(memory.base_url)
    return {
        "store": memory.store,
        "where": where,
        "key_is_set": memory.api_key is not None if memory.store == "supermemory" else None,
        "container_tag": memory.container_tag,
        "query_strategy": memory.query_strategy,
        "injection_strategy": memory.injection_strategy,
        "write_back": memory.write_back,
        "timeout": memory.timeout,
    }


def _users(config: ProxyConfig, clients: Iterable[Headers]) -> dict[str, Any]:
    mappings = config.user_id_mappings
    agents = {**{client.name: client.agent for client in CLIENTS}, "curl": "curl/8.5.0"}
    known = [
        {"client": name, **_asked(Headers({"user-agent": agent}), config)} for name, agent in agents.items()
    ]
    asked = [{"client": "yours", **_asked(headers, config)} for headers in clients]
    return {
        "custom_header": mappings.custom_header,
        "default_user_id": mappings.default_user_id,
        "patterns": [row.model_dump() for row in mappings.header_patterns],
        "clients": [*known, *asked],
        "share_the_default": sharing(config),
    }


def _asked(headers: Headers, config: ProxyConfig) -> dict[str, Any]:
    sent = "; ".join(f"{name}: {value}" for name, value in headers.items() if name in _shown(config))
    try:
        routing = identify(headers, config)
    except ProxyError as error:
        return {"sends": redact_text(sent), "user_id": None, "because": redact_text(error.message)}
    if routing.custom_header_present:
        because = "it names the user itself"
    elif routing.matched_pattern is not None:
        because = f"{routing.matched_pattern.header} matches {routing.matched_pattern.pattern}"
    else:
        because = "no pattern matches"
    return {"sends": redact_text(sent), "user_id": redact_text(routing.user_id), "because": because}


def _shown(config: ProxyConfig) -> set[str]:
    """Names of headers that may decide; others are nobody's business."""
    mappings = config.user_id_mappings
    return {
        mappings.custom_header.lower(),
        "x-sm-user-id",
        *(row.header.lower() for row in mappings.header_patterns),
    }


def _environment(config: ProxyConfig) -> list[dict[str, Any]]:
    """The variables that the configuration names, and those in which LiteLLM would look for a key."""
    named = dict.fromkeys(_names(config.as_written()))
    for deployment in config.model_list:
        key = _key(config, _deployment(config, deployment)["provider"], deployment.litellm_params)
        if key.endswith("set"):
            named.setdefault(key.partition(" ")[0])
    given = config.environment_variables
    return [{"name": name, "set": bool(os.environ.get(name) or given.get(name))} for name in named]


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(ENVIRON):
        yield value.removeprefix(ENVIRON)
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _names(item)

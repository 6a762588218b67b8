"""Sees to it that LiteLLM hands on what a client sent, so that the provider judges it.

LiteLLM has a table of what each model takes. It refuses, drops or renames what stands not in there.

an OpenAI-compatible API   what LiteLLM would judge goes into `extra_body`, which it copies into the body as it is
Anthropic's API            hints for OpenAI alone end here; what LiteLLM would drop and matters is refused
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from proxies.config.models import Deployment, ProxyConfig
from proxies.config.providers import provider_of
from proxies.errors import ProxyError

COMPATIBLE = frozenset({
    "cerebras", "custom_openai", "deepseek", "fireworks_ai", "github", "groq", "hosted_vllm",
    "litellm_proxy", "lm_studio", "mistral", "moonshot", "nvidia_nim", "openai", "openrouter", "perplexity",
    "together_ai", "xai", "zai"
})  # fmt: skip
"""Providers that are asked in OpenAI's API, where LiteLLM copies `extra_body` into the body."""

JUDGED = frozenset({
    "audio", "frequency_penalty", "logit_bias", "logprobs", "metadata", "modalities", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_retention",
    "reasoning_effort", "safety_identifier", "seed", "service_tier", "stop", "store", "temperature",
    "tool_choice", "top_logprobs", "top_p", "user", "verbosity", "web_search_options"
})  # fmt: skip
"""Parameters of a chat completion that LiteLLM refuses or drops for some model, and need not read itself."""

_READ_OF_RESPONSES = frozenset({
    "background", "include", "input", "model", "previous_response_id", "stream", "tools"
})  # fmt: skip
"""Parameters of a response that LiteLLM has to read."""

_AS_RESPONSE = re.compile(
    r"^responses/|(?:^|[-/])(?:o1-pro|o3-pro|o3-deep-research|o4-mini-deep-research|codex-mini)"
    r"|(?:^|/)gpt-(?:daybreak-|5(?:\.\d)?-(?:pro|codex))"
)
"""Models of which LiteLLM asks a response when a chat completion is wanted; it has to translate the parameters."""
_BRIDGED_WITH_TOOLS = re.compile(r"(?:^|/)gpt-(?:5\.[4-9]|[6-9])")
"""The same, where there are tools."""

_OPENAIS = re.compile(r"gpt-|chatgpt-|o\d(?:-|$)")

KEPT_OF_MESSAGES = frozenset({
    "cache_control", "compaction", "container", "context_management", "inference_geo", "max_tokens",
    "mcp_servers", "messages", "metadata", "model", "output_config", "output_format", "reasoning_effort",
    "safeguards", "speed", "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice",
    "tools", "top_k", "top_p"
})  # fmt: skip
"""Parameters of a message that LiteLLM hands on to Anthropic. It drops all others."""

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def hand_on(body: Mapping[str, Any], route: str, config: ProxyConfig) -> Mapping[str, Any]:
    """The body as LiteLLM has to get it, so that the provider gets what the client sent.

    Raises `ProxyError` 400 for what can't reach the provider and would change the answer.
    """
    own = config.group(body["model"])
    if all(provider_behind(d.litellm_params) == "anthropic" for d in own):
        return _for_anthropic(body, route)
    if route in ("chat/completions", "responses"):
        deployments = list(reachable(config, body["model"]))
        if all(provider_behind(d.litellm_params) in COMPATIBLE for d in deployments):
            return _for_compatible(body, route, config, deployments)
    return body


def check_counted(body: Mapping[str, Any], deployments: Iterable[Deployment]) -> None:
    """Return when the provider of all of them counts tokens: Anthropic; raises `ProxyError` 404, or 400."""
    if any(provider_behind(d.litellm_params) != "anthropic" for d in deployments):
        raise ProxyError(404, "The provider of this model does not count tokens.", code="unsupported_route")
    if "stream" in body:
        raise ProxyError(400, "There are no streams on this route.", param="stream")


def counted(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a provider is to count: all but what is meant for LiteLLM."""
    return {name: value for name, value in body.items() if name != "drop_params"}


def translated(model: str, body: Mapping[str, Any]) -> bool:
    """Whether LiteLLM makes a response of this chat completion."""
    tools = body.get("tools") or body.get("functions")
    return bool(_AS_RESPONSE.search(model) or (tools and _BRIDGED_WITH_TOOLS.search(model)))


def _for_compatible(
    body: Mapping[str, Any], route: str, config: ProxyConfig, deployments: Collection[Deployment]
) -> Mapping[str, Any]:
    params = [d.litellm_params for d in deployments]
    if _drops(body, config, params) or any(
        p.get("extra_body") != params[0].get("extra_body") for p in params
    ):
        return body
    models = [str(p["model"]) for p in params]
    providers = {provider_behind(p) for p in params}
    if route == "responses":
        # Of the others LiteLLM asks a chat completion, for which it has to translate.
        if providers != {"openai"} or any(p.get("use_chat_completions_api") for p in params):
            return body
        moved = {n: v for n, v in body.items() if n not in _READ_OF_RESPONSES}
    else:
        if any(translated(model, body) for model in models):
            return body
        moved = {n: v for n, v in body.items() if n in JUDGED and v is not None}
        if isinstance(choice := moved.get("tool_choice"), str) or _names_a_function(choice):
            moved.pop("tool_choice", None)
        if "xai" in providers:  # LiteLLM asks a response for it
            moved.pop("web_search_options", None)
        if providers == {"openai"} and any(m.get("role") == "developer" for m in body["messages"]):
            moved["messages"] = body["messages"]
    if not moved:
        return body
    kept = {n: v for n, v in body.items() if n not in moved or n == "messages"}
    return {**kept, "extra_body": {**(params[0].get("extra_body") or {}), **moved}}


def provider_behind(params: Mapping[str, Any]) -> str:
    """The provider of a deployment; where it names none, LiteLLM's guess from the best-known names."""
    model = str(params["model"])
    guess = "anthropic" if model.startswith("claude") else "openai" if _OPENAIS.match(model) else ""
    return provider_of(params) or guess


def _names_a_function(choice: Any) -> bool:
    return isinstance(choice, Mapping) and choice.get("type") == "function"


def _drops(body: Mapping[str, Any], config: ProxyConfig, params: Iterable[Mapping[str, Any]]) -> bool:
    """Whether somebody wants LiteLLM to drop what it thinks a model can't take."""
    return bool(
        body.get("drop_params")
        or config.litellm_settings.get("drop_params")
        or any(p.get("drop_params") or p.get("additional_drop_params") for p in params)
    )


def _for_anthropic(body: Mapping[str, Any], route: str) -> Mapping[str, Any]:
    if route == "messages":
        kept = {n: v for n, v in body.items() if n in KEPT_OF_MESSAGES or n == "drop_params"}
        left = {n: v for n, v in body.items() if n not in kept and (n, v) != ("service_tier", "auto")}
        if left and not body.get("drop_params"):
            name = next(iter(left))
            raise ProxyError(
                400, f"The parameter '{name}' can't be handed on to the provider of this model.", param=name
            )
        return kept
    if route not in ("chat/completions", "responses"):
        return body
    kept = {n: v for n, v in body.items() if n not in ("prompt_cache_key", "prompt_cache_retention")}
    if kept.get("store") is False:
        del kept["store"]
    if (label := kept.pop("safety_identifier", None)) is not None:
        kept.setdefault("user", label)
    if route == "chat/completions":
        return {**kept, "allowed_openai_params": ["service_tier"]} if kept.get("service_tier") else kept
    if kept.get("service_tier") in ("auto", "default"):
        del kept["service_tier"]
    for name in ("previous_response_id", "background", "service_tier"):
        if kept.get(name):
            raise ProxyError(400, f"The provider of this model has no '{name}' for a response.", param=name)
    return kept


def reachable(config: ProxyConfig, model: str) -> Iterator[Deployment]:
    """The deployments of the model, and of all that may stand in for it."""
    sections = (config.router_settings, config.litellm_settings)
    entries = [entry for section in sections for key in _FALLBACKS for entry in section.get(key) or ()]
    defaults = [name for section in sections for name in section.get("default_fallbacks") or ()]
    pending, seen = [model], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        yield from config.group(name)
        pending += defaults
        pending += [target for entry in entries for key in (name, "*") for target in entry.get(key) or ()]

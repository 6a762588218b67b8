"""Makes LiteLLM use a session of ours for a provider call: the `client` argument, in two kinds.

AsyncOpenAI        providers that LiteLLM calls through the openai package; the other kind breaks them
AsyncHTTPHandler   providers that LiteLLM calls itself; the other kind is ignored there

Which provider is of which kind was found by calling each with both, on every route. One that stands in neither table is
called by a client of LiteLLM's own, without a session.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import httpx

from proxies.sessions import LiteLLMSessionManager

THROUGH_OPENAI = frozenset(
    {
        "cerebras",
        "custom_openai",
        "github",
        "litellm_proxy",
        "lm_studio",
        "moonshot",
        "nvidia_nim",
        "openai",
        "perplexity",
        "zai",
    }
)
THROUGH_HANDLER = frozenset(
    {
        "anthropic",
        "databricks",
        "deepseek",
        "fireworks_ai",
        "groq",
        "hosted_vllm",
        "mistral",
        "openrouter",
        "together_ai",
        "xai",
    }
)

_SWAPPED = {
    "embeddings": frozenset({"fireworks_ai", "lm_studio", "mistral", "perplexity", "together_ai"}),
    "responses": frozenset({"litellm_proxy", "openai", "perplexity"}),
}
"""Providers that LiteLLM calls on another route in the other of the two ways."""

_KEPT = "openai_clients"
"""The attribute of a session that holds its clients, as many as the configuration has keys and addresses."""

_DEFAULT_BASES = {
    "anthropic": ("https://api.anthropic.com", ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")),
    "openai": ("https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE")),
}


async def client_for(
    sessions: LiteLLMSessionManager, route: str, params: Mapping[str, Any], user_id: str
) -> Any:
    """The `client` for a call at the deployment with these `litellm_params`; None where LiteLLM takes none."""
    import litellm

    _, provider, key, base = litellm.get_llm_provider(
        params["model"], params.get("custom_llm_provider"), params.get("api_base") or params.get("base_url")
    )
    upstream = base or _default_base(provider)
    swapped = provider in _SWAPPED.get(route, ())
    if provider in (THROUGH_HANDLER if swapped else THROUGH_OPENAI):
        key = params.get("api_key") or key or os.environ.get(f"{provider.upper()}_API_KEY")
        if not (key and upstream):
            return None
        return _openai_client(await sessions.get_session(upstream, user_id), params, key, upstream)
    if provider in (THROUGH_OPENAI if swapped else THROUGH_HANDLER):
        # The address is LiteLLM's business here; ours only tells the jars of two providers apart.
        return _handler(await sessions.get_session(upstream or f"https://{provider}.invalid", user_id))
    return None


def _default_base(provider: str) -> str | None:
    default, variables = _DEFAULT_BASES.get(provider, (None, ()))
    return next((os.environ[name] for name in variables if os.environ.get(name)), default)


def _openai_client(session: httpx.AsyncClient, params: Mapping[str, Any], key: str, base: str) -> Any:
    """Return the client for these on `session`, which keeps it: making one takes as long as the rest of a call."""
    import openai

    organization = params.get("organization")
    kept = vars(session).setdefault(_KEPT, {})
    made = (openai.AsyncOpenAI, key, base, organization)
    if made not in kept:
        kept[made] = openai.AsyncOpenAI(
            http_client=session, api_key=key, base_url=base, organization=organization, max_retries=0
        )
    return kept[made]


def _handler(session: httpx.AsyncClient) -> Any:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    handler = AsyncHTTPHandler(transport=_NoSecondTry())
    handler.client = session
    return handler


class _NoSecondTry(httpx.AsyncBaseTransport):
    """Where LiteLLM's HTTP handler would repeat a call whose connection broke: nowhere."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Server disconnected", request=request)

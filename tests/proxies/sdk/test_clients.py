"""Which client LiteLLM is given for which provider, and that the user's session is under it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pkgutil import resolve_name
from typing import Any

import httpx
import openai
import pytest

from proxies.dialects.kinds import KINDS
from proxies.sdk.clients import THROUGH_HANDLER, THROUGH_OPENAI, client_for
from proxies.sessions import LiteLLMSessionManager
from tests.upstream import Upstream

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm = pytest.importorskip("litellm")

BASE = "http://provider.test/v1"
EMBEDDING = (
    "databricks",
    "fireworks_ai",
    "hosted_vllm",
    "litellm_proxy",
    "lm_studio",
    "mistral",
    "nvidia_nim",
    "openai",
    "openrouter",
    "perplexity",
    "together_ai",
)
"""Those of the two tables for which LiteLLM has embeddings."""


@pytest.fixture
async def sessions() -> AsyncIterator[LiteLLMSessionManager]:
    manager = LiteLLMSessionManager()
    yield manager
    await manager.aclose()


QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
CALLS: list[Any] = [
    *(("chat/completions", provider, QUESTION) for provider in sorted(THROUGH_OPENAI | THROUGH_HANDLER)),
    *(("responses", provider, {"input": "hi"}) for provider in sorted(THROUGH_OPENAI | THROUGH_HANDLER)),
    *(("embeddings", provider, {"input": "hi"}) for provider in EMBEDDING),
]


@pytest.mark.parametrize(("route", "provider", "said"), CALLS)
async def test_calls_go_through_the_users_session(route: str, provider: str, said: dict[str, Any]) -> None:
    """LiteLLM really uses the client that it is given: the call arrives at the session's transport, once."""
    error = {"message": "no", "type": "t", "param": None, "code": None}
    upstream = Upstream(httpx.Response(400, json={"error": error}))
    manager = upstream.sessions(LiteLLMSessionManager)
    params: dict[str, Any] = {"model": f"{provider}/m", "api_base": BASE, "api_key": "k"}
    client = await client_for(manager, route, params, "ann")
    with pytest.raises(litellm.exceptions.BadRequestError):
        await resolve_name(f"litellm.{KINDS[route].function}")(
            **params,
            **said,
            client=client,
            num_retries=0,
            max_retries=0,
        )
    assert [request.url.host for request in upstream.requests] == ["provider.test"]
    assert manager.count()["open"] == 1
    await manager.aclose()


async def test_each_user_has_a_session(sessions: LiteLLMSessionManager) -> None:
    """The same user's clients share a jar, another user's do not."""
    params = {"model": "groq/m", "api_base": BASE, "api_key": "k"}
    one, again, other = [
        await client_for(sessions, "chat/completions", params, user) for user in ("ann", "ann", "bob")
    ]
    assert one.client is again.client
    assert one.client is not other.client


async def test_a_provider_that_takes_no_client_gets_none(sessions: LiteLLMSessionManager) -> None:
    """It is called by a client of LiteLLM's own."""
    assert (
        await client_for(sessions, "chat/completions", {"model": "cohere_chat/m", "api_key": "k"}, "ann")
        is None
    )


async def test_without_a_key_there_is_no_client(
    sessions: LiteLLMSessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM is left to say what is missing."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert (
        await client_for(sessions, "chat/completions", {"model": "openai/m", "api_base": BASE}, "ann") is None
    )


async def test_default_addresses(sessions: LiteLLMSessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `api_base` the environment decides, then the provider's own address."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    client = await client_for(sessions, "chat/completions", {"model": "openai/m", "api_key": "k"}, "ann")
    assert isinstance(client, openai.AsyncOpenAI)
    assert str(client.base_url) == "https://api.openai.com/v1/"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.test/v1")
    client = await client_for(sessions, "chat/completions", {"model": "openai/m", "api_key": "k"}, "ann")
    assert str(client.base_url) == "http://elsewhere.test/v1/"

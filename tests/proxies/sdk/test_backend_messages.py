"""The sdk architecture on the route `messages`, with LiteLLM patched or its HTTP played by a transport."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import pytest

from proxies.backend import Call
from proxies.config.models import ProxyConfig
from proxies.errors import UNREACHABLE, UNREADABLE, ProxyError
from proxies.sessions import LiteLLMSessionManager
from tests.proxies.bodies import COMPLETION, MESSAGE
from tests.proxies.front.fakes import KEY
from tests.upstream import Upstream

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm = pytest.importorskip("litellm")
from proxies.sdk import backend as sdk  # noqa: E402

ANTHROPIC = {"model": "anthropic/claude-sonnet-4-5", "api_key": "k", "api_base": "http://anthropic.test"}
OPENAI = {"model": "openai/gpt-4o-mini", "api_key": "k", "api_base": "http://openai.test/v1"}
PARAMS = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def backend(provider: Upstream, params: dict[str, Any]) -> sdk.SdkBackend:
    models = [{"model_name": "fast", "litellm_params": params}]
    return sdk.SdkBackend(
        ProxyConfig.model_validate({"model_list": models, "general_settings": {"master_key": KEY}}),
        provider.sessions(LiteLLMSessionManager),
    )


def call(user: str = "ann", **changes: Any) -> Call:
    return Call("messages", "fast", {**PARAMS, **changes}, {"anthropic-beta": "context-1m-2025-08-07"}, user)


def streaming(monkeypatch: pytest.MonkeyPatch, *pieces: Any) -> None:
    """Makes `acreate` yield these bytes; an exception among them is raised."""

    async def source() -> Any:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def acreate(**arguments: Any) -> Any:
        return source()

    monkeypatch.setattr(litellm.anthropic.messages, "acreate", acreate)


async def test_an_anthropic_model(provider: Upstream) -> None:
    """The message goes to Anthropic's own route, with the betas, and comes back as it is."""
    seen = provider(lambda request: httpx.Response(200, json=MESSAGE))
    made = backend(provider, ANTHROPIC)
    await made.start()
    reply = await made.complete(call(system=[{"type": "text", "text": "s"}]))
    assert reply.body == MESSAGE
    [request] = seen
    assert request.url == "http://anthropic.test/v1/messages"
    assert request.headers["anthropic-beta"] == "context-1m-2025-08-07"
    body = json.loads(request.content)
    assert (body["model"], body["system"]) == ("claude-sonnet-4-5", [{"type": "text", "text": "s"}])
    await made.aclose()


async def test_an_openai_model(provider: Upstream) -> None:
    """A model of OpenAI's is asked for a chat completion, never at /responses, and answers with a message."""
    seen = provider(lambda request: httpx.Response(200, json=COMPLETION))
    made = backend(provider, OPENAI)
    await made.start()
    reply = await made.complete(call())
    assert [str(request.url) for request in seen] == ["http://openai.test/v1/chat/completions"]
    assert reply.body["type"] == "message"
    assert reply.body["content"] == [{"type": "text", "text": "Hello"}]
    await made.aclose()


@pytest.mark.parametrize(("params", "answer"), [(ANTHROPIC, MESSAGE), (OPENAI, COMPLETION)])
async def test_cookies_are_the_users_own(provider: Upstream, params: Any, answer: Any) -> None:
    """A cookie comes back from the user who got it, and from no other, on this route as well."""
    seen = provider(
        lambda request: httpx.Response(200, json=answer, headers={"set-cookie": "cf_clearance=x; path=/"})
    )
    made = backend(provider, params)
    for user in ("ann", "ann", "bob"):
        await made.complete(call(user))
    assert [request.headers.get("cookie") for request in seen] == [None, "cf_clearance=x", None]
    await made.aclose()


@pytest.mark.parametrize(
    ("last", "status", "message"),
    [
        (httpx.ReadError(""), 502, UNREACHABLE),
        (httpx.RemoteProtocolError("peer closed connection"), 502, UNREACHABLE),
        (b"event: x\ndata: {oops\n\n", 502, UNREADABLE),
    ],
)
async def test_a_stream_that_breaks(
    monkeypatch: pytest.MonkeyPatch, last: Any, status: int, message: str
) -> None:
    """What came before is handed out, then the failure is raised, though LiteLLM wraps none of it."""
    streaming(monkeypatch, b'data: {"type": "message_start"}\n\n', last)
    stream = await backend(Upstream(), ANTHROPIC).stream(call(stream=True))
    events = aiter(stream)
    assert await anext(events) == {"type": "message_start"}
    with pytest.raises(ProxyError, match=message) as caught:
        await anext(events)
    assert caught.value.status == status
    await stream.aclose()

"""The binary architecture on the route `messages`, with a LiteLLM process played by an httpx transport."""

from __future__ import annotations

import json

import httpx
import pytest

from proxies.backend import Call
from proxies.binary import backend as binary
from proxies.errors import UNREADABLE, ProxyError
from proxies.sessions import ProxySessionManager
from tests.proxies.front.fakes import make_config
from tests.upstream import Upstream

CALL = Call(
    "messages",
    "fast",
    {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    {"anthropic-beta": "b", "x-sm-user-id": "ann"},
    "ann",
)
EVENTS = [{"type": "message_start", "message": {"id": "m"}}, {"type": "error", "error": {"message": "No"}}]


def backend(litellm: Upstream) -> binary.BinaryBackend:
    sessions = litellm.sessions(ProxySessionManager)
    return binary.BinaryBackend(make_config(), "http://litellm.test", "sk-process-key", sessions)


async def test_the_request(litellm: Upstream) -> None:
    """The same route of the process is asked, with the same body."""
    seen = litellm(lambda request: httpx.Response(200, json={"type": "message", "model": "other"}))
    reply = await backend(litellm).complete(CALL)
    assert str(seen[0].url) == "http://litellm.test/v1/messages"
    assert json.loads(seen[0].content) == {
        "model": "fast",
        **CALL.params,
        "extra_headers": {"anthropic-beta": "b"},
    }
    assert reply.body == {"type": "message", "model": "other"}


async def test_a_refusal(litellm: Upstream) -> None:
    """Anthropic's error inside the process's sentence comes out as the provider wrote it."""
    said = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})
    text = (
        f"litellm.InternalServerError: AnthropicError - {said}\n\nLiteLLM: model group 'fast' failed with it."
    )
    body = {"type": "error", "error": {"type": "api_error", "message": text}}
    litellm(lambda request: httpx.Response(500, json=body))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).complete(CALL)
    assert (caught.value.status, caught.value.message) == (529, "Busy")


@pytest.mark.parametrize("text", ['{"id": "msg', "<html>Hi</html>", "[]"])
async def test_a_body_that_litellm_could_not_read(litellm: Upstream, text: str) -> None:
    """Where LiteLLM's sentence is nothing but the provider's broken body, that is said."""
    message = (
        f"litellm.APIConnectionError: AnthropicException - {text}\n\nLiteLLM: model group 'fast' failed."
    )
    litellm(lambda request: httpx.Response(500, json={"type": "error", "error": {"message": message}}))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).complete(CALL)
    assert (caught.value.status, caught.value.message) == (502, UNREADABLE)

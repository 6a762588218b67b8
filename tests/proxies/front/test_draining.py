"""A server that stops, seen from its requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.front.draining import STOPPING, Draining
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config

CHUNK = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hello"}}]}
MESSAGE_START = {"type": "message_start", "message": {"id": "m", "content": []}}


class Served:
    """The app as a server that drains would call it, with a client for it."""

    def __init__(self, backend: FakeBackend) -> None:
        self.draining = Draining()
        self._app = build_app(make_config(), backend)
        transport = httpx.ASGITransport(self)
        headers = {"authorization": f"Bearer {KEY}"}
        self.client = httpx.AsyncClient(transport=transport, base_url="http://proxy", headers=headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.draining.enter(scope)
        await self._app(scope, receive, send)

    def ask(self, path: str, **more: Any) -> asyncio.Task[httpx.Response]:
        body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, **more}
        return asyncio.create_task(self.client.post(path, json=body))


async def test_readiness_turns_while_the_server_stops() -> None:
    """503 from the moment the server wants to end; liveness stays."""
    served = Served(FakeBackend())
    assert (await served.client.get("/health/readiness")).status_code == 200
    served.draining.begin()
    answer = await served.client.get("/health/readiness")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, STOPPING)
    assert (await served.client.get("/health")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_what_waits_for_an_answer_is_told(path: str) -> None:
    """When the time is up it gets 503 with retry-after in its envelope, and the call upstream is cancelled."""
    backend = FakeBackend(hang=True)
    served = Served(backend)
    asked = served.ask(path)
    await backend.called.wait()
    served.draining.begin()
    await asyncio.sleep(0)
    assert not asked.done()
    served.draining.cut()
    answer = await asked
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["message"] == STOPPING
    assert answer.json()["error"]["type"] == "overloaded_error"
    assert backend.cancelled


async def streamed(served: Served, path: str) -> list[str]:
    """The events of a stream that is cut after its first one."""
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "stream": True}
    exchange = Exchange(served, path, json.dumps(body).encode(), {"authorization": f"Bearer {KEY}"})
    assert (await exchange.message())["status"] == 200
    first = await exchange.message()
    served.draining.cut()
    sent = b"".join(message["body"] for message in (first, *await exchange.end()))
    return [event for event in sent.decode().split("\n\n") if event]


async def test_a_stream_gets_one_error_event_and_its_end() -> None:
    """What came before stays, one frame says why there is no more, `[DONE]` ends it, upstream is closed."""
    backend = FakeBackend(chunks=[CHUNK, asyncio.Event()])
    events = await streamed(Served(backend), "/v1/chat/completions")
    first, error, end = (event.removeprefix("data: ") for event in events)
    assert json.loads(first)["choices"] == CHUNK["choices"]
    assert json.loads(error)["error"]["message"] == STOPPING
    assert end == "[DONE]"
    assert backend.streams[0].closed


async def test_a_stream_of_messages_gets_one_error_event() -> None:
    """`event: error` is the last one of Anthropic's dialect."""
    backend = FakeBackend(chunks=[MESSAGE_START, asyncio.Event()])
    events = await streamed(Served(backend), "/v1/messages")
    assert [event.split("\n")[0] for event in events] == ["event: message_start", "event: error"]
    assert STOPPING in events[1]


async def test_what_comes_too_late_ends_at_once() -> None:
    """A block that is entered after the time is up is left again; cutting twice does no harm."""
    draining = Draining()
    draining.cut()
    draining.cut()
    with pytest.raises(ProxyError, match=STOPPING):
        async with draining.until_cut():
            await asyncio.Event().wait()


async def test_a_timeout_of_something_else_stays_one() -> None:
    """Only what the server ended is told as the server's end."""
    with pytest.raises(TimeoutError, match="the provider's"):
        async with Draining().until_cut():
            raise TimeoutError("the provider's")

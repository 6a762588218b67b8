"""When the body of a stream is closed, and what becomes of its connection. What bodies may hold: test_egress.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from proxies import limited_body
from proxies.egress import Guard
from proxies.sessions import ProxySessionManager
from tests.polling import until
from tests.proxies.bodies import Body, read
from tests.proxies.raw_server import serving

EVENT = b'data: {"a": 1}\n\n'
LAST = [
    b"data: [DONE]\n\n",
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
    b'data: {"type":"response.completed"}\n\n',
]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an end as long as it takes on a machine that has much to do."""
    monkeypatch.setattr(limited_body, "END_WITHIN", 30.0)


@contextlib.asynccontextmanager
async def streamed(body: Body) -> AsyncIterator[httpx.Response]:
    """The answer of a guarded client, whose bytes are `body`; nobody closes it."""
    transport = httpx.MockTransport(
        lambda r: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    )
    async with httpx.AsyncClient(transport=transport, event_hooks=Guard().hooks()) as client:
        yield await client.send(client.build_request("POST", "http://provider.test"), stream=True)


class Pouring(Body):
    """Never ends."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.closed:
            yield b"".join(self.pieces)  # type: ignore[arg-type]
            await asyncio.sleep(0)


@pytest.mark.parametrize("last", LAST)
async def test_the_end_is_awaited_behind_the_last_event(last: bytes) -> None:
    """Its reader has stopped; nobody waits for that, and closing once more changes nothing."""
    body = Body(EVENT, last)
    body.ends_after = 0.01
    async with streamed(body) as answer:
        pieces = answer.aiter_bytes()
        assert [await anext(pieces), await anext(pieces)] == [EVENT, last]
        await answer.aclose()
        await answer.stream.aclose()  # type: ignore[union-attr]
        assert not body.closed
        await until(lambda: body.closed)
    assert body.read_to_its_end


async def test_half_a_stream_is_closed_at_once() -> None:
    """Whoever leaves before the last event has the provider stop."""
    body = Body(EVENT, EVENT)
    async with streamed(body) as answer:
        await anext(answer.aiter_bytes())
        await answer.aclose()
        assert body.closed


@pytest.mark.parametrize("body", [Body(LAST[0]), Pouring(LAST[0] * 100)], ids=["silent", "pouring"])
async def test_an_end_that_never_comes(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that says nothing more is given a moment, and none where it goes on."""
    if not isinstance(body, Pouring):
        monkeypatch.setattr(limited_body, "END_WITHIN", 0.01)
    body.ends_after = 1000
    async with streamed(body) as answer:
        await anext(answer.aiter_bytes())
        await answer.aclose()
        await until(lambda: body.closed)
    assert not body.read_to_its_end


async def test_what_breaks_behind_the_last_event() -> None:
    """It is nobody's failure."""
    body = Body(LAST[0], httpx.ReadError("reset"))
    async with streamed(body) as answer:
        await anext(answer.aiter_bytes())
        await answer.aclose()
        await until(lambda: body.closed)


async def test_a_reader_that_goes_on_is_let() -> None:
    """Where somebody reads to the end while another closes, both have what they want."""
    body = Body(LAST[0])
    body.ends_after = 0.03
    async with streamed(body) as answer:
        taken: list[Any] = []
        reading = asyncio.create_task(read(answer.stream, taken))
        await until(lambda: bool(taken))
        await answer.stream.aclose()  # type: ignore[union-attr]
        await reading
        assert taken == [LAST[0]]
        await until(lambda: body.closed)
    assert body.read_to_its_end


async def test_a_body_that_ends_in_the_moment_of_closing_is_closed() -> None:
    """Its reader has all of it before the end could be awaited."""
    go = asyncio.Event()

    class Waiting(Body):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield LAST[0]
            await go.wait()

    body = Waiting()
    async with streamed(body) as answer:
        taken: list[Any] = []
        reading = asyncio.create_task(read(answer.stream, taken))
        await until(lambda: bool(taken))
        go.set()
        await answer.stream.aclose()  # type: ignore[union-attr]
        await reading
        assert body.closed


@pytest.mark.parametrize("late", [0, 0.01])
async def test_a_connection_serves_many_streams(late: float) -> None:
    """It is there for the next call, whether what ends a stream comes with its last event or behind it."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            writer.write(b"%x\r\n%s\r\n" % (len(LAST[0]), LAST[0]))
            await asyncio.sleep(late)
            writer.write(b"0\r\n\r\n")

    sessions = ProxySessionManager()
    async with serving(serve) as url:
        session = await sessions.get_session(url, "ann")
        for _ in range(4):
            async with session.stream("POST", url) as answer:
                await anext(answer.aiter_bytes())
            await limited_body.await_ends()
        await sessions.aclose()
    assert connections == 1

"""Frames leave as they come, and a client that leaves takes the upstream call with it."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxies.front.app import build_app
from proxies.front.disconnect import ClientGone, or_disconnect
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config

AUTH = {"authorization": f"Bearer {KEY}"}


def start(backend: FakeBackend, *, stream: bool) -> Exchange:
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return Exchange(
        build_app(make_config(), backend), "/v1/chat/completions", json.dumps(body).encode(), AUTH
    )


async def test_each_chunk_leaves_before_the_next_comes() -> None:
    """Chunk n is out while chunk n+1 is withheld."""
    gates = [asyncio.Event() for _ in range(3)]
    backend = FakeBackend(chunks=[{"n": 0}, gates[0], {"n": 1}, gates[1], {"n": 2}, gates[2]])
    exchange = start(backend, stream=True)
    assert (await exchange.message())["type"] == "http.response.start"
    for n, gate in enumerate(gates):
        assert (await exchange.message())["body"] == b'data: {"n":%d,"model":"fast"}\n\n' % n
        gate.set()
    last = await exchange.end()
    assert [message["body"] for message in last] == [b"data: [DONE]\n\n", b""]
    assert [message["more_body"] for message in last] == [True, False]


async def test_disconnect_in_a_stream_closes_it() -> None:
    """A client that leaves mid-stream closes the upstream call, and nothing more is sent."""
    backend = FakeBackend(chunks=[{"n": 0}, asyncio.Event(), {"n": 1}])
    exchange = start(backend, stream=True)
    await exchange.message()
    await exchange.message()
    exchange.disconnect()
    assert await exchange.end() == []
    assert [stream.closed for stream in backend.streams] == [1]


async def test_disconnect_before_the_first_chunk_closes_it() -> None:
    """A client that leaves before the status line closes the upstream call too."""
    backend = FakeBackend(chunks=[asyncio.Event(), {"n": 1}])
    exchange = start(backend, stream=True)
    await asyncio.wait_for(backend.called.wait(), 5)
    await asyncio.sleep(0)
    exchange.disconnect()
    assert await exchange.end() == []
    assert [stream.closed for stream in backend.streams] == [1]


@pytest.mark.parametrize("stream", [False, True])
async def test_disconnect_before_the_answer_cancels_the_call(stream: bool) -> None:
    """A client that leaves before the backend answered cancels the call, and nothing is sent."""
    backend = FakeBackend(hang=True)
    exchange = start(backend, stream=stream)
    await asyncio.wait_for(backend.called.wait(), 5)
    exchange.disconnect()
    assert await exchange.end() == []
    assert backend.cancelled


async def test_cancelled_by_the_server() -> None:
    """A server that cancels the request, at shutdown say, closes the stream as well."""
    backend = FakeBackend(chunks=[{"n": 0}, asyncio.Event()])
    exchange = start(backend, stream=True)
    await exchange.message()
    await exchange.message()
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.end()
    assert [stream.closed for stream in backend.streams] == [1]


async def test_work_that_ends_first_wins() -> None:
    """Results and exceptions of the work come through, and nobody watches on."""

    async def forever() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def fine() -> int:
        return 7

    async def wrong() -> int:
        raise KeyError("w")

    assert await or_disconnect(fine(), forever) == 7
    with pytest.raises(KeyError):
        await or_disconnect(wrong(), forever)
    assert len(asyncio.all_tasks()) == 1


async def test_client_gone() -> None:
    """When the client leaves first, the work has ended by the time that is told."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientGone):
        await or_disconnect(work(), receive)
    assert ended.is_set()

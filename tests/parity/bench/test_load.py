"""The load against planted servers: what it counts, and what it doesn't hide."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from parity.bench.load import Job, Seen, load
from parity.bench.wire import Answer, Malformed

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
STALL = 0.3


@asynccontextmanager
async def server(answer: Callable[[int], tuple[float, bytes]]) -> AsyncIterator[Job]:
    """Serve, one request after the other as a single worker would; `answer` gives delay and bytes of the nth."""
    count = 0
    worker = asyncio.Lock()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with worker:
                    delay, data = answer(count)
                    count += 1
                    await asyncio.sleep(delay)
                writer.write(data)
                if b"connection: close" in data or not data:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    served = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = served.sockets[0].getsockname()[1]
    request = base64.b64encode(b"POST / HTTP/1.1\r\n\r\n").decode()
    async with served:
        yield Job("127.0.0.1", port, request, 200, "fine", False, 1, 0.4, 0.0)


async def seen(job: Job) -> Seen:
    async with asyncio.timeout(20):
        return await load(job)


async def test_an_open_loop_shows_what_a_closed_one_hides() -> None:
    """Of one stall of 0.3 s a closed loop sees one slow answer; in an open loop all that were due are late."""

    def stalling(number: int) -> tuple[float, bytes]:
        return (STALL if number == 5 else 0.0), ANSWER

    async with server(stalling) as job:
        closed = await seen(job)
    async with server(stalling) as job:
        opened = await seen(replace(job, rate=100.0, connections=4))
    assert (closed.wrong, opened.wrong) == (0, 0)
    assert closed.figures["p90_ms"] < 50
    assert opened.figures["p90_ms"] > 150
    assert opened.requests == 40  # all that were due, however late


async def test_another_status_or_another_answer_is_wrong() -> None:
    """The first one is told, and so is that nothing listens."""
    async with server(lambda _: (0.0, ANSWER.replace(b"200", b"500"))) as job:
        found = await seen(job)
    assert found.wrong > 0
    assert found.reason == "answered 500, not 200: fine"
    async with server(lambda _: (0.0, ANSWER)) as job:
        found = await seen(replace(job, must="other"))
    assert found.reason == "an answer has no 'other'"
    found = await seen(job)
    assert found.reason.startswith("can't connect")
    async with server(lambda _: (0.0, b"SSH-2.0\r\n\r\n")) as job:
        assert "no HTTP/1.1" in (await seen(job)).reason
    async with server(lambda _: (0.0, b"")) as job:
        assert "the connection ended" in (await seen(job)).reason


async def test_a_connection_that_ends_between_requests_is_made_anew() -> None:
    """As a server may close after any answer."""
    closing = ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with server(lambda _: (0.0, closing)) as job:
        found = await seen(replace(job, connections=2))
    assert found.wrong == 0
    assert found.requests > 4


async def test_a_counted_load_sends_so_many_and_no_more() -> None:
    """It ends with the last answer, long before its time, also with fewer requests than connections."""
    async with server(lambda _: (0.0, ANSWER)) as job:
        found = await seen(replace(job, connections=4, requests=30, seconds=3600))
        few = await seen(replace(job, connections=4, requests=3, seconds=3600))
    assert (found.wrong, found.answered, found.requests) == (0, 30, 30)
    assert (few.wrong, few.answered) == (0, 3)
    assert found.figures["requests_per_s"] > 1  # of the time that it took, not of that which it had


def test_events_are_counted_however_they_are_cut() -> None:
    """Byte by byte, in chunks that hold half an event; the answer ends with the last chunk."""
    body = b"data: a\n\ndata: b\n\ndata: [DONE]\n\n"
    parts = [body[:8], body[8:20], body[20:]]
    sent = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    sent += b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    answer = Answer(stream=True)
    ended = [answer.feed(sent[place : place + 1]) for place in range(len(sent))]
    assert ended.index(True) == len(sent) - 1
    assert (answer.status, bytes(answer.body), len(answer.events)) == (200, body, 3)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"nonsense\r\n\r\n",
        CHUNKED + b"xy\r\n",
    ],
)
def test_what_is_no_answer_is_told(sent: bytes) -> None:
    """Without a length, without a status, with a chunk of no size."""
    with pytest.raises(Malformed):
        Answer(stream=False).feed(sent)

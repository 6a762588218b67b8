"""Group 7: streams, made of what a stream really is: an asynchronous iterator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from parity.targets.arms import Arm
from tests.promises.upstream import Upstream, chunk, proxy, question

WORDS = ("One", " two", " three.")


class Bytes(httpx.AsyncByteStream):
    """A body that comes frame by frame, each only once the one before was read."""

    def __init__(self, turn: asyncio.Semaphore) -> None:
        self._turn = turn

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for made in (*map(chunk, WORDS), chunk(None, "stop")):
            await self._turn.acquire()
            yield f"data: {json.dumps(made)}\n\n".encode()
        await self._turn.acquire()
        yield b"data: [DONE]\n\n"


async def frames(client: httpx.AsyncClient, turn: asyncio.Semaphore) -> AsyncIterator[str]:
    """The events of the proxy's answer, as text without its blank line."""
    turn.release()
    async with client.stream("POST", "/v1/chat/completions", json=question("Count.", stream=True)) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = ""
        async for piece in answer.aiter_text():
            text += piece
            *whole, text = text.split("\n\n")
            for frame in whole:
                yield frame
                turn.release()
        assert text == ""


@pytest.fixture
def turn() -> asyncio.Semaphore:
    return asyncio.Semaphore(0)


def streaming(turn: asyncio.Semaphore) -> Upstream:
    head = {"content-type": "text/event-stream"}
    return Upstream(lambda *_: httpx.Response(200, headers=head, stream=Bytes(turn)))


async def test_frames_leave_as_the_iterator_gives_them(arm: Arm, turn: asyncio.Semaphore) -> None:
    """An upstream that gives a frame only when the last one was read gets to its end: nothing is gathered."""
    texts = []
    async with proxy(arm, streaming(turn)) as client, asyncio.timeout(20):
        async for frame in frames(client, turn):
            if frame != "data: [DONE]":
                delta = json.loads(frame.removeprefix("data: "))["choices"][0]["delta"]
                texts.append(delta.get("content"))
    assert "".join(text or "" for text in texts) == "One two three."


async def test_frames_are_server_sent_events(arm: Arm, turn: asyncio.Semaphore) -> None:
    """Each frame is one `data:` line with a chunk in JSON and a blank line; the last one is `[DONE]`."""
    async with proxy(arm, streaming(turn)) as client, asyncio.timeout(20):
        seen = [frame async for frame in frames(client, turn)]
    *chunks, done = seen
    assert done == "data: [DONE]"
    assert len(chunks) == 4
    for frame in chunks:
        assert frame.startswith("data: {")
        assert "\n" not in frame
        parsed = json.loads(frame.removeprefix("data: "))
        assert parsed["object"] == "chat.completion.chunk"
        assert parsed["model"] == "promised"
    assert json.loads(chunks[-1].removeprefix("data: "))["choices"][0]["finish_reason"] == "stop"

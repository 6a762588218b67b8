"""A provider for many calls at once: tells each caller what it received, or waits until the caller is gone.

Much simpler than the stub provider of the harness, since it has thousands of calls to answer. One connection carries
one call after the other. It is the memory store too: each user has one fact there.

A question may begin with what is to go wrong:

    status 429: …   that status, with the provider's envelope
    garbage: …      a page instead of an answer
    reset: …        the connection is closed without a word
    cut: …          it is closed in the middle of the answer
    slow: …         a stream of 20 events, 20 ms apart
    flood: …        a stream that never ends, as fast as it is read; `poured` counts its bytes
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests import samples

STUCK = "stay"
"""A model that goes silent: after two events of a stream, before the status line of a plain answer."""

_ORDER = re.compile(r"(status|garbage|reset|cut|slow|flood) ?(\d*): ")
_FACT = "The badge of {} is green."
_REMEMBERED = re.compile(r"The badge of (\S+) is green\.|The user said: question (\d+) ")


@dataclass
class FarEnd:
    """`http://127.0.0.1:PORT`; an async context manager. Times are `time.monotonic`, by the text of the question."""

    calls: int = 0
    poured: int = 0
    forgetful: bool = False
    """The memory store answers each seventh call with 500."""
    recalled: int = 0
    waiting: set[str] = field(default_factory=set)
    gone: dict[str, float] = field(default_factory=dict)
    url: str = ""
    _serving: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def __aenter__(self) -> FarEnd:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in (serving := list(self._serving)):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def served() -> None:
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

        task = asyncio.create_task(served())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
                headers = {name.lower(): value.strip() for name, _, value in lines}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not head.startswith("POST"):  # LiteLLM lists its deployments' models now and then
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    continue
                asked = json.loads(body)
                if head.startswith("POST /v4/profile "):
                    self.recalled += 1
                    facts = {"profile": {"static": [_FACT.format(asked["containerTag"])]}}
                    failing = self.forgetful and self.recalled % 7 == 0
                    writer.write(_whole({}, status=500) if failing else _whole(facts))
                    continue
                await self._answer(asked, headers, reader, writer)

    async def _answer(
        self, asked: Any, headers: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.calls += 1
        content = asked["messages"][-1]["content"]
        question = content if isinstance(content, str) else content[0]["text"]
        user = headers.get("x-sm-user-id", "")
        # Memories stand after the question.
        memories = [fact or said for fact, said in _REMEMBERED.findall(json.dumps(asked))]
        told = json.dumps([question.split("\n")[0], user, headers.get("cookie", ""), memories])
        cookie = f"set-cookie: who={user}; Path=/\r\n"
        if order := _ORDER.match(question):
            await self._misbehave(order[1], int(order[2] or 0), told, bool(asked.get("stream")), writer)
            return
        if asked["model"] == STUCK:
            if asked.get("stream"):
                writer.write(_head("text/event-stream", "transfer-encoding: chunked\r\n"))
                for _ in range(2):
                    event = _event(told)
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
            await self._until_gone(question, reader)
            raise ConnectionResetError
        if asked.get("stream"):
            sent = _event(told) + _event("", "stop") + b"data: [DONE]\n\n"
            writer.write(_head("text/event-stream", f"{cookie}content-length: {len(sent)}\r\n") + sent)
        else:
            anthropic = "anthropic-version" in headers
            writer.write(_whole(samples.message(told) if anthropic else samples.completion(told), cookie))
        await writer.drain()

    async def _misbehave(
        self, order: str, status: int, told: str, stream: bool, writer: asyncio.StreamWriter
    ) -> None:
        if order == "status":
            error = {"type": "of_the_provider", "message": f"Sorry: {status}.", "param": None, "code": None}
            writer.write(_whole({"type": "error", "error": error}, status=status))
        elif order == "garbage":
            page = b"<html>A page.</html>"
            writer.write(_head("text/html", f"content-length: {len(page)}\r\n") + page)
        elif order == "slow" and stream:
            writer.write(_head("text/event-stream", "transfer-encoding: chunked\r\n"))
            pieces = [told[n * len(told) // 20 : (n + 1) * len(told) // 20] for n in range(20)]
            for piece in (*map(_event, pieces), _event("", "stop") + b"data: [DONE]\n\n"):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                await asyncio.sleep(0.02)
            writer.write(b"0\r\n\r\n")
        elif order == "flood" and stream:
            writer.write(_head("text/event-stream", "transfer-encoding: chunked\r\n"))
            while True:
                event = _event(f"{self.poured} " * 1000)  # LiteLLM ends a stream that repeats itself
                writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                await writer.drain()
                self.poured += len(event)
        elif order == "cut":
            writer.write(
                _head("text/event-stream" if stream else "application/json", "content-length: 4000\r\n")
            )
            writer.write(_event(told) if stream else b'{"id": ')
            await writer.drain()
            raise ConnectionResetError
        else:
            raise ConnectionResetError
        await writer.drain()

    async def _until_gone(self, question: str, reader: asyncio.StreamReader) -> None:
        self.waiting.add(question)
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
        self.waiting.discard(question)
        self.gone[question] = time.monotonic()


def _head(content_type: str, more: str, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} -\r\ncontent-type: {content_type}\r\n{more}\r\n".encode()


def _whole(body: dict[str, Any], more: str = "", status: int = 200) -> bytes:
    sent = json.dumps(body).encode()
    return _head("application/json", f"{more}content-length: {len(sent)}\r\n", status) + sent


def _event(text: str, finish: str | None = None) -> bytes:
    delta = {"role": "assistant", "content": text} if text else {}
    return f"data: {json.dumps(samples.chunk(finish, delta=delta))}\n\n".encode()

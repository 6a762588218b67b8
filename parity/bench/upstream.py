"""Answers with recorded bytes as fast as Python can: the provider of a bench, in a process of its own.

    python -m parity.bench.upstream < answers.json

The first line of its input is JSON, answers by name; the first line of its output says where it listens. It ends with
its input, so that it never outlives who started it. Which answer a request gets says its path (`/NAME/v1/…`), else the
header x-parity-scenario, else `model` in its body.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from dataclasses import dataclass
from typing import cast

from parity.bench.loops import runner

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_NAMED = re.compile(rb"\r\nx-parity-scenario:[ \t]*([^\r]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CONTINUE = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_MODEL = re.compile(rb'"model":\s*"([^"]+)"')
_ALIVE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_UNKNOWN = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_NO_LENGTH = b"HTTP/1.1 411 Length Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """Holds what a workload is answered with: its pieces, the time between them, and its memories."""

    pieces: tuple[bytes, ...]
    pace: float
    memory: bytes

    def dump(self) -> dict[str, object]:
        """Return it as JSON can hold it."""
        pieces = [base64.b64encode(piece).decode() for piece in self.pieces]
        return {"pieces": pieces, "pace": self.pace, "memory": base64.b64encode(self.memory).decode()}

    @classmethod
    def load(cls, dumped: dict[str, object]) -> Answer:
        pieces = dumped["pieces"]
        assert isinstance(pieces, list)
        return cls(
            tuple(base64.b64decode(piece) for piece in pieces),
            float(str(dumped["pace"])),
            base64.b64decode(str(dumped["memory"])),
        )


class Connection(asyncio.Protocol):
    """Speaks just enough HTTP/1.1 with one client."""

    def __init__(self, answers: dict[bytes, Answer]) -> None:
        self._answers = answers
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None
        self._pacing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._read += data
        while self._transport is not None and not self._pacing and self._one():
            pass

    def _one(self) -> bool:
        """Answer one request, if it has arrived whole."""
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._read[:end])
        length = _LENGTH.search(head)
        if length is None and _CHUNKED.search(head):
            self._write(_NO_LENGTH)
            return False
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._read) < whole:
            if _CONTINUE.search(head):
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        body = bytes(self._read[end + 4 : whole])
        del self._read[:whole]
        self._answer(head, body)
        return True

    def _answer(self, head: bytes, body: bytes) -> None:
        method, target = head.split(b" ", 2)[:2]
        if method != b"POST":
            self._write(_ALIVE)
            return
        answer = self._answers.get(target[1:].partition(b"/")[0]) or self._by_request(head, body)
        if answer is None:
            self._write(_UNKNOWN)
        elif answer.memory and target.endswith(b"/v4/profile"):
            self._write(answer.memory)
        elif answer.pace:
            self._pacing = True
            self._next(answer, 0, asyncio.get_running_loop().time())
        else:
            for piece in answer.pieces:
                self._write(piece)

    def _by_request(self, head: bytes, body: bytes) -> Answer | None:
        found = _NAMED.search(head) or _MODEL.search(body)
        return self._answers.get(found[1]) if found else None

    def _next(self, answer: Answer, number: int, due: float) -> None:
        """Write one piece; the times are those of a plan, so that a late piece delays no other."""
        self._write(answer.pieces[number])
        if number + 1 < len(answer.pieces):
            due += answer.pace
            asyncio.get_running_loop().call_at(due, self._next, answer, number + 1, due)
        else:
            self._pacing = False
            self.data_received(b"")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(answers: dict[bytes, Answer], port: int = 0) -> None:
    """Serve on loopback until the input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", port, backlog=1024)
    async with server:
        sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    given = json.loads(sys.stdin.buffer.readline())
    answers = {name.encode(): Answer.load(dumped) for name, dumped in given["answers"].items()}
    with runner() as running:
        running.run(serve(answers, given.get("port", 0)))


if __name__ == "__main__":
    main()

"""Reads the answers of a subject: one connection of the load, with no more HTTP/1.1 than that needs."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Malformed(Exception):
    """Reports an answer that is no HTTP/1.1."""


class Answer:
    """Takes an answer's bytes as they arrive, and notes when. Times are those of `time.perf_counter`."""

    def __init__(self, stream: bool) -> None:
        self._left = bytearray()
        self._remaining: int | None = None
        self._chunked = False
        self._stream = stream
        self.status = 0
        self.head = b""
        self.body = bytearray()
        self.closing = False
        self.first = 0.0
        """When the first event came, of a stream."""
        self.events: list[float] = []
        """When each event came."""

    def feed(self, data: bytes) -> bool:
        """Return whether the answer is whole. Raises `Malformed`."""
        now = time.perf_counter()
        self._left += data
        while not self.status:
            end = self._left.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._take_head(bytes(self._left[:end]))
            del self._left[: end + 4]
        before = len(self.body)
        whole = self._take_chunks() if self._chunked else self._take_length()
        if self._stream and len(self.body) > before:
            self._note(before, now)
        return whole

    def _take_head(self, head: bytes) -> None:
        try:
            status = int(head.split(b" ", 2)[1])
        except (IndexError, ValueError):
            raise Malformed(repr(head[:40])) from None
        if status == 100:
            return
        self.status, self.head = status, head
        self.closing = bool(_CLOSING.search(head))
        self._chunked = bool(_CHUNKED.search(head))
        length = _LENGTH.search(head)
        if length is None and not self._chunked:
            raise Malformed(f"status {status} without a length")
        self._remaining = int(length[1]) if length else None

    def _take_length(self) -> bool:
        assert self._remaining is not None
        taken = self._left[: self._remaining]
        del self._left[: len(taken)]
        self._remaining -= len(taken)
        self.body += taken
        return self._remaining == 0

    def _take_chunks(self) -> bool:
        while True:
            end = self._left.find(b"\r\n")
            if end < 0:
                return False
            try:
                size = int(self._left[:end].partition(b";")[0], 16)
            except ValueError:
                raise Malformed(repr(bytes(self._left[:40]))) from None
            if len(self._left) < end + size + 4:
                return False
            self.body += self._left[end + 2 : end + 2 + size]
            del self._left[: end + size + 4]
            if size == 0:
                return True

    def _note(self, before: int, now: float) -> None:
        """Count the events that ended in the new bytes; one may have begun in the bytes before."""
        found = self.body.count(b"\n\n", max(0, before - 1))
        if found and not self.events:
            self.first = now
        self.events += [now] * found


class Connection(asyncio.Protocol):
    """Asks one request after the other. What became of each is told to `done`."""

    def __init__(
        self, request: bytes, stream: bool, done: Callable[[Connection, Answer | None], None]
    ) -> None:
        self._request = request
        self._stream = stream
        self._done = done
        self._answer: Answer | None = None
        self.transport: asyncio.Transport | None = None
        self.due = 0.0
        """When the request that is under way was due: latencies count from here."""
        self.sent = 0.0
        self.asked = 0
        self.trouble = ""

    @property
    def untouched(self) -> bool:
        """Return whether nothing of an answer has arrived."""
        return self._answer is not None and not self._answer.status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def ask(self, due: float) -> None:
        """Send the request."""
        assert self.transport is not None
        self.due, self.sent = due, time.perf_counter()
        self.asked += 1
        self._answer = Answer(self._stream)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self._fail("bytes that nobody asked for")
            return
        try:
            whole = answer.feed(data)
        except Malformed as error:
            self._fail(f"no HTTP/1.1: {error}")
            return
        if whole:
            self._answer = None
            if answer.closing:
                self.close()
            self._done(self, answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._answer is not None:
            self._fail(f"the connection ended: {error or 'closed'}")

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def _fail(self, why: str) -> None:
        self.trouble = why
        failed, self._answer = self._answer, None
        self.close()
        if failed is not None:
            self._done(self, None)

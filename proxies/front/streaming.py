"""Chunks to server-sent events, each sent the moment it comes.

first chunk ── an error here is a plain HTTP error
status line, then one event a chunk ── an error here is one error event ── the end, `[DONE]` on chat completions
client gone at any point ── upstream call closed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from proxies.backend import Stream
from proxies.dialects.base import Framing
from proxies.errors import ProxyError, internal_error, log_failure
from proxies.front.disconnect import send_then_close
from proxies.front.draining import Draining, draining_of
from proxies.front.observing.record import current
from proxies.headers import for_client

_OWN_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # Asks a reverse proxy such as nginx not to collect events.
    "x-accel-buffering": "no",
}


class EventStream:
    """An ASGI response that sends a `Stream` whose first chunk has been read; `open_stream` makes it."""

    def __init__(
        self,
        stream: Stream,
        chunks: AsyncIterator[dict[str, Any]],
        first: dict[str, Any] | None,
        framing: Framing,
        doing: str,
    ) -> None:
        self._stream = stream
        self._chunks = chunks
        self._first = first
        self._framing = framing
        self._doing = doing
        self.headers: Mapping[str, str] = {**for_client(stream.headers), **_OWN_HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_then_close(self._send_all(send, draining_of(scope)), receive, self._stream.aclose)

    async def _send_all(self, send: Send, draining: Draining) -> None:
        record = current()
        record.streamed = True
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if self._first is not None:
            record.note_usage(self._first)
            await _send_body(send, self._framing.frame(self._first))
            try:
                async with draining.until_cut():
                    async for chunk in self._chunks:
                        record.note_usage(chunk)
                        await _send_body(send, self._framing.frame(chunk))
            except ProxyError as error:
                record.failure = error
                await _send_body(send, self._framing.failure(error))
            except OSError:
                raise
            except Exception as bug:
                log_failure(bug, self._doing)
                record.failure = internal_error()
                await _send_body(send, self._framing.failure(record.failure))
        record.upstream.end()
        if self._framing.end:
            await _send_body(send, self._framing.end)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def open_stream(stream: Stream, model: str, framing: Framing, doing: str) -> EventStream:
    """Wait for the first chunk of `stream`; what it raises is raised, and the stream closed."""
    chunks = framing.checked(aiter(stream), model)
    try:
        first = await anext(chunks, None)
    except BaseException as failure:
        if isinstance(failure, ProxyError):
            failure.upstream_headers = {**stream.headers, **failure.upstream_headers}
        await asyncio.shield(asyncio.ensure_future(stream.aclose()))
        raise
    return EventStream(stream, chunks, first, framing, doing)


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})

"""Drives an ASGI app frame by frame, as an httpx transport.

httpx's own `ASGITransport` collects the whole body before it returns a response, so it can't tell a proxy
that streams from one that buffers. This one hands over each body message when the app sends it, and tells
the app `http.disconnect` when the response is closed before its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Scope

DISCONNECT_DEADLINE = 5.0
"""The seconds that an app has to come to an end after `http.disconnect`, before its task is cancelled."""


class AppFailure(httpx.TransportError):
    """Reports that the app raised, or that its answer isn't whole or well-formed.

    A server would break the connection.
    """


class _Exchange(httpx.AsyncByteStream):
    """Carries one request to the app and the messages it sends."""

    def __init__(
        self, app: ASGIApp, scope: Scope, body: bytes, has_read: Callable[[], None], stays: Callable[[], None]
    ) -> None:
        self._has_read = has_read
        self._stays = stays
        self._inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._disconnected = asyncio.Event()
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue()
        self._bodyless = scope["method"] == "HEAD"
        self._declared: int | None = None
        self._received = 0
        self._complete = False
        self._task = asyncio.create_task(self._run(app, scope), name=f"asgi {scope['path']}")

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._sent.put_nowait(None)

    async def _receive(self) -> Message:
        if self._inbox:
            return self._inbox.pop()
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        # As uvicorn does, and ASGI before 2.4 demands: what is sent to a client that is gone is dropped.
        if not self._disconnected.is_set():
            self._sent.put_nowait(message)
        else:
            await asyncio.sleep(0)  # an app that goes on and on must leave room for its cancellation

    async def _next(self, wanted: str) -> Message:
        message = await self._sent.get()
        if message is None:
            error = self._task.exception() if self._task.done() and not self._task.cancelled() else None
            raise AppFailure(f"the app ended without a whole answer: {error!r}") from error
        if message["type"] != wanted:
            raise AppFailure(f"the app sent {message['type']} where {wanted} was due")
        return message

    async def start(self) -> Message:
        """Return the `http.response.start` message."""
        message = await self._next("http.response.start")
        if not self._bodyless and message["status"] not in (204, 304):
            lengths = [int(v) for k, v in message.get("headers", ()) if k.lower() == b"content-length"]
            self._declared = lengths[0] if lengths else None
        else:
            self._bodyless = True
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._complete:
            message = await self._next("http.response.body")
            ended = not message.get("more_body", False)
            body = b"" if self._bodyless else message.get("body", b"")
            self._received += len(body)
            # A server would break the connection here, so the client gets a transport error.
            if self._declared is not None and (
                self._received > self._declared or (ended and self._received < self._declared)
            ):
                raise AppFailure(f"content-length is {self._declared}, but {self._received} bytes came")
            self._complete = ended
            if body:
                self._has_read()
                yield body

    async def aclose(self) -> None:
        """Close as httpx does, after the last byte too; like a server, wait for the app to finish its own
        work.
        """
        self._disconnected.set()
        try:
            await asyncio.wait([self._task], timeout=DISCONNECT_DEADLINE)
            if not self._task.done():
                self._stays()
        finally:
            self._task.cancel()
        await asyncio.wait([self._task], timeout=DISCONNECT_DEADLINE)
        if self._task.done() and not self._task.cancelled():
            # After the answer, or for a client that is gone, an app may well fail: a server logs it at most.
            self._task.exception()


class StreamingASGITransport(httpx.AsyncBaseTransport):
    """Sends httpx requests to an app in this process, whose lifespan is the caller's business.

    `has_read` is called for every piece of a body, when the client takes it; `stays` when the app does not
    end by itself after its client has gone, before it is cancelled.
    """

    def __init__(
        self,
        app: ASGIApp,
        has_read: Callable[[], None] = lambda: None,
        stays: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._has_read = has_read
        self._stays = stays

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.split(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(k.lower(), v) for k, v in request.headers.raw],
            "server": (request.url.host, request.url.port or 80),
            "client": ("127.0.0.1", 50000),
            "state": {},
        }
        exchange = _Exchange(self._app, scope, body, self._has_read, self._stays)
        try:
            start = await exchange.start()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx.Response(start["status"], headers=start.get("headers", []), stream=exchange)

"""What deliberately wrong proxies are made of: it stands in front of a right one and gets to change everything.

client ──question()──> miniature ──> app
client <──start(), answer() or frame()── miniature <── app
"""

from __future__ import annotations

import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Json = Any
SWALLOWED = object()
"""What `Miniature.frame` returns for a frame that never leaves."""


class Miniature:
    """Makes no mistake: whatever it is told to change it would change, and nobody tells it to."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.frames = 0

    def question(self, path: str, headers: MutableHeaders, document: Json) -> Json:
        """The request on its way in; `document` is its JSON, or None."""
        return document

    def start(self, path: str, status: int, headers: MutableHeaders) -> int:
        """The response's status, the headers changed in place; the last thing that is asked."""
        return status

    def answer(self, path: str, status: int, document: Json) -> Json:
        """A whole JSON body on its way out."""
        return document

    def frame(self, number: int, data: Json) -> Json:
        """One frame of a stream, counted from 1: its JSON, or a text such as `[DONE]`."""
        return data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)
        scope = {**scope, "headers": list(scope["headers"])}
        headers = MutableHeaders(scope=scope)
        asked = _parsed(body)
        wanted = self.question(scope["path"], headers, asked)
        if wanted != asked:
            body = dumped(wanted)
            headers["content-length"] = str(len(body))
        await self.app(scope, replayed(body, receive), _Answering(self, scope["path"], send))


class _Answering:
    """Takes the app's messages apart, asks the miniature, and sends on."""

    def __init__(self, miniature: Miniature, path: str, send: Send) -> None:
        self._miniature = miniature
        self._path = path
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": list(message["headers"])}
            if self._streams:
                await self._send_start()
        elif self._streams:
            await self._send_frame(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._sendwhole()

    @property
    def _streams(self) -> bool:
        return Headers(raw=self._start["headers"]).get("content-type", "").startswith("text/event-stream")

    async def _send_start(self) -> None:
        headers = MutableHeaders(raw=self._start["headers"])
        status = self._miniature.start(self._path, self._start["status"], headers)
        await self._send({**self._start, "status": status, "headers": headers.raw})

    async def _send_frame(self, message: Message) -> None:
        if body := message.get("body"):
            self._miniature.frames += 1
            data = _parsed(body.removeprefix(b"data: ").strip())
            wanted = self._miniature.frame(self._miniature.frames, data)
            if wanted is SWALLOWED:
                return
            if wanted != data:
                message = {**message, "body": b"data: " + dumped(wanted) + b"\n\n"}
        await self._send(message)

    async def _sendwhole(self) -> None:
        wanted = self._miniature.answer(self._path, self._start["status"], _parsed(self._body))
        body = self._body if wanted == _parsed(self._body) else dumped(wanted)
        MutableHeaders(raw=self._start["headers"])["content-length"] = str(len(body))
        await self._send_start()
        await self._send({"type": "http.response.body", "body": body})


async def whole(receive: Receive) -> bytes:
    """The body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """A fresh `receive` of a body that has been read; what comes after it is the real one's."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _parsed(body: bytes) -> Json:
    try:
        return json.loads(body)
    except ValueError:
        return None if not body else body.decode("utf-8", "replace")


def dumped(document: Json) -> bytes:
    """JSON as the proxies write it, in UTF-8."""
    return json.dumps(document, ensure_ascii=False).encode()

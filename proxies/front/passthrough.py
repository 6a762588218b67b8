"""The other data routes below /v1: handed to the backend as they are, and what comes back handed on.

client ──method, path, query, body──> Backend.forward ──status, body in pieces──> client

Only the families in the table exist. LiteLLM's management routes are in none of them, and a path that could
be read as another one (empty or dotted parts, encoded slashes, parameters) is no route at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.backend import Forwarded, Passage
from proxies.errors import ProxyError
from proxies.front import forms
from proxies.front.body import check_steering, members, read_body, read_pieces
from proxies.front.disconnect import ClientGone, no_answer, or_disconnect, send_then_close
from proxies.front.identity import identify
from proxies.front.observing.record import current
from proxies.front.services import Services
from proxies.headers import check_travels, for_client, for_provider
from proxies.support.redact import redact_text

FAMILIES = (
    "assistants",
    "audio",
    "batches",
    "completions",
    "containers",
    "files",
    "fine_tuning",
    "images",
    "moderations",
    "rerank",
    "responses",
    "threads",
    "vector_stores",
    "videos",
)
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

_OWN_NAMES = {"batches": ("endpoint",)}
"""Parameters of a family's own that would steer LiteLLM elsewhere."""

_SAFE_PATH = re.compile(r"(/(?!\.+(?:/|$))[A-Za-z0-9._~:@!$&'()*+,=-]+)+")
_ABOUT_THE_BODY = ("content-type", "content-length", "accept")
_ABOUT_THE_ANSWER = ("content-type", "content-disposition", "content-length")


async def forward(services: Services, request: Request) -> ASGIApp:
    """Answer with what the backend passes on; raises `ProxyError` 404 for a path that isn't plain."""
    path = request.scope["path"]
    if not _SAFE_PATH.fullmatch(path):
        raise ProxyError(404, f"There is no route {request.method} {redact_text(path)}.")
    if (hand_on := services.backend.forward) is None:
        raise ProxyError(404, "This route is not supported.", code="unsupported_route")
    record = current()
    limit, within = services.config.max_body_bytes, services.config.limits.body_timeout
    record.user_id = identify(request.headers, services.config).user_id
    forwarded = for_provider(request.headers)
    sent = {name: request.headers[name] for name in _ABOUT_THE_BODY if name in request.headers}
    for name, value in sent.items():
        check_travels(name, value)
    uploaded = asyncio.Event()
    body: bytes | AsyncIterator[bytes]
    own = _OWN_NAMES.get(path.split("/")[2], ())

    def check(name: str) -> None:
        if name not in own:
            check_steering({name: None})

    content_type = request.headers.get("content-type", "")
    if "form" in content_type.lower():
        pieces = forms.checked(read_pieces(request, limit, within), content_type, check)
        body = _and_then(pieces, uploaded)
    else:
        with record.reading:
            body = await read_body(request, limit, within)
        check_steering({name: value for name, value in members(body).items() if name not in own})
        uploaded.set()
    raw_path = request.scope.get("raw_path") or path.encode()
    record.upstream.begin()
    work = hand_on(
        Forwarded(
            method=request.method,
            path=raw_path.partition(b"?")[0].decode("ascii"),
            query=request.scope["query_string"].decode("latin-1"),
            headers={**forwarded, **sent},
            body=body,
            user_id=record.user_id,
        )
    )

    async def receive() -> Message:
        # While the body is still being read, its reader is the one to hear of a disconnect.
        await uploaded.wait()
        return await request.receive()

    try:
        return _Handed(await or_disconnect(work, receive))
    except ClientGone:
        return no_answer


async def _and_then(pieces: AsyncIterator[bytes], done: asyncio.Event) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
    done.set()


class _Handed:
    """An ASGI response that sends a `Passage` piece by piece."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_then_close(self._send_all(send), receive, self._passage.aclose)

    async def _send_all(self, send: Send) -> None:
        passage = self._passage
        about = {name: passage.headers[name] for name in _ABOUT_THE_ANSWER if name in passage.headers}
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in {**for_client(passage.headers), **about}.items()
        ]
        await send({"type": "http.response.start", "status": passage.status, "headers": headers})
        async for piece in passage:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        current().upstream.end()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

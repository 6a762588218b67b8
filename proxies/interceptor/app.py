"""The interceptor: hands every request on to a memory proxy, as that project's user.

    client ── request + x-memory-user-id ──> memory proxy
           <── its answer, piece by piece ──

Bytes stay what they are: path and query as they were written, bodies in the pieces in which they come, compressed
or not. Only the headers that belong to one connection are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from email.utils import formatdate
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.config.models import UserIdMappings
from proxies.errors import ProxyError, error_response, internal_error, log_failure
from proxies.front.disconnect import ClientGone, or_disconnect
from proxies.front.draining import draining_of
from proxies.front.target import origin_form
from proxies.headers import check_framing
from proxies.memory.routing import USER_ID_HEADER, route

USER_HEADER = "x-memory-user-id"

_CONNECT_SECONDS = 10.0
# The memory proxy closes connections that were idle for 75 seconds, others after 5: one must not be taken up then.
_IDLE_SECONDS = 4.0
# RFC 9110, section 7.6.1, with the old names that clients still send.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# `host` is the memory proxy's; `expect` has been answered by the server that this app runs in.
_NOT_FORWARDED = _HOP_BY_HOP | {b"host", b"expect"}

_ALIAS = USER_ID_HEADER.encode()
"""Names the user too, see `proxies.memory.routing`."""

_log = logging.getLogger(__name__)


def create_app(
    upstream: str,
    user_id: str,
    *,
    user_header: str = USER_HEADER,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ASGIApp:
    """An ASGI application that forwards everything to the memory proxy at the base URL `upstream`.

    `user_id` goes into `user_header` of each request that names no user itself. `transport` is for tests; it is
    closed with the app. Raises `ValueError` when an argument can't be used.
    """
    mappings = _mappings(user_id, user_header)
    pool = transport or httpx.AsyncHTTPTransport(
        limits=httpx.Limits(
            max_connections=None, max_keepalive_connections=100, keepalive_expiry=_IDLE_SECONDS
        )
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with pool:
            yield

    forwarder = _Forwarder(checked_upstream(upstream), mappings, pool)
    return Router(default=forwarder, lifespan=lifespan, redirect_slashes=False)


def checked_upstream(url: str) -> str:
    """`url` without a trailing slash; raises `ValueError` for what is no base URL of a memory proxy."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("the upstream needs scheme and host, such as http://127.0.0.1:8080")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the upstream is a base URL, without key, query and fragment")
    return url.rstrip("/")


def _mappings(user_id: str, user_header: str) -> UserIdMappings:
    """The memory proxy's own rules for both, with this project's user as the default."""
    try:
        return UserIdMappings(custom_header=user_header, default_user_id=user_id)
    except ValidationError as error:
        first = error.errors()[0]
        what = "the user id" if first["loc"] == ("default_user_id",) else "the user header"
        raise ValueError(f"{what}: {first['msg'].removeprefix('Value error, ')}") from None


class _Forwarder:
    def __init__(self, upstream: str, mappings: UserIdMappings, pool: httpx.AsyncBaseTransport) -> None:
        self._upstream = httpx.URL(upstream)
        self._base = self._upstream.raw_path.rstrip(b"/")
        self._mappings = mappings
        self._user_header = mappings.custom_header.lower().encode()
        self._user_id = mappings.default_user_id.encode()
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the interceptor serves HTTP only, not {scope['type']}")
        doing = f"{scope['method']} {scope['path']}"
        body = _Body(receive)
        try:
            check_framing(scope["headers"])
            await or_disconnect(self._exchange(scope, body, send, doing), body.receive_rest)
        except ClientGone:
            return
        except ProxyError as error:
            error.headers["date"] = formatdate(usegmt=True)
            await error_response(error, scope["path"])(scope, receive, send)

    async def _exchange(self, scope: Scope, body: _Body, send: Send, doing: str) -> None:
        try:
            async with draining_of(scope).until_cut():
                answer = await self._pool.handle_async_request(self._request(scope, body))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._unreachable(doing, error, "could not be reached; is it running?") from None
        except httpx.TransportError as error:
            raise self._unreachable(doing, error, "closed the connection without an answer.") from None
        except (ClientGone, ProxyError):
            raise
        except Exception as bug:
            log_failure(bug, doing)
            raise internal_error() from None
        finally:
            body.done.set()
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status_code,
                    "headers": _without(answer.headers.raw, _HOP_BY_HOP),
                }
            )
            async for piece in answer.stream:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except httpx.TransportError as error:
            # Half an answer is out: that it never ends is all that can be told.
            _log.warning("%s: the memory proxy broke off in the middle of its answer: %s", doing, _why(error))
            return
        finally:
            await answer.stream.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _request(self, scope: Scope, body: _Body) -> httpx.Request:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        names = {name for name, _ in headers}
        has_body = b"transfer-encoding" in names or dict(headers).get(b"content-length", b"0") != b"0"
        if not has_body:
            body.done.set()
        return httpx.Request(
            scope["method"],
            self._upstream,
            headers=self._forwarded(headers),
            content=body if has_body else None,
            extensions={
                # Not through httpx.URL, which would write some characters differently.
                "target": _target(self._base, scope),
                # How long an answer may take is the memory proxy's to say.
                "timeout": {"connect": _CONNECT_SECONDS, "read": None, "write": None, "pool": None},
            },
        )

    def _forwarded(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        # Not by `Connection: x-memory-user-id` either: the request would count as another user's.
        kept = _without(headers, _NOT_FORWARDED, keep=frozenset({self._user_header, _ALIAS}))
        if route(Headers(raw=headers), self._mappings).custom_header_present:
            return kept
        return [row for row in kept if row[0] != self._user_header] + [(self._user_header, self._user_id)]

    def _unreachable(self, doing: str, error: httpx.TransportError, what: str) -> ProxyError:
        _log.warning("%s: the memory proxy at %s %s %s", doing, self._upstream, what, _why(error))
        return ProxyError(502, f"The memory proxy at {self._upstream} {what}")


class _Body:
    """The request's body as it comes; `done` once nobody reads it any more, so that the rest may be watched."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.done = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self.done.set()

    async def receive_rest(self) -> Message:
        await self.done.wait()
        return await self._receive()


def _without(
    headers: Iterable[tuple[bytes, bytes]], names: frozenset[bytes], keep: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    """Leave out headers; `Connection` names further ones that end here, though none of `keep`.

    The names are in lower case, as ASGI wants them.
    """
    rows = [(name.lower(), value) for name, value in headers]
    named = {
        token.strip().lower() for name, value in rows if name == b"connection" for token in value.split(b",")
    }
    return [row for row in rows if row[0] not in names and row[0] not in named - keep]


def _target(base: bytes, scope: Scope) -> bytes:
    path = origin_form(scope.get("raw_path") or quote(scope["path"]).encode())
    query: bytes = scope["query_string"]
    return base + path + (b"?" + query if query else b"")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__

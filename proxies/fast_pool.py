"""Carries the calls of httpx clients over aiohttp's connections, which cost a third of httpcore's.

httpcore looks at all of a pool's connections for each call, and reads HTTP in Python.

a whole body of usual size ──────────────> aiohttp
a streamed one, a large one, odd headers ─> httpx's own transport, which an error in a body passes through, and which
                                            reads an answer that comes before the body was sent

Answers and errors are httpx's, in the words of httpcore, so that nobody behind sees which of them it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

_WHOLE = 256 * 1024
"""Bytes of a body that is sent in one piece."""

_LARGEST_HEAD = 100 * 1024
"""Bytes that an answer's headers may take, as h11 has it."""

_MOST_HEADERS = 512

_REFUSED = (httpx.ConnectError, "All connection attempts failed")
_UNANSWERED = (httpx.RemoteProtocolError, "Server disconnected without sending a response.")
_CUT = "peer closed connection without sending complete message body (incomplete read)"

_GENUINE = httpx.AsyncHTTPTransport

# The first that fits, so the special ones come before what they are made of.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError], str | None], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout, ""),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout, ""),
    (aiohttp.ClientConnectorError, *_REFUSED),
    (aiohttp.ServerDisconnectedError, *_UNANSWERED),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError, _CUT),
    (aiohttp.ClientConnectionError, httpx.ReadError, ""),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol, None),
    (aiohttp.ClientError, httpx.RemoteProtocolError, None),
    (TimeoutError, httpx.PoolTimeout, ""),
    (OSError, httpx.ReadError, ""),
)


class FastPool(httpx.AsyncBaseTransport):
    """A pool of connections to one upstream. `plain` makes the calls that aiohttp can't, and is closed with it.

    `last` says of an answer's status and headers whether its connection must not be used again.
    """

    def __init__(
        self,
        plain: httpx.AsyncBaseTransport,
        *,
        limits: httpx.Limits,
        verify: ssl.SSLContext,
        last: Callable[[int, Mapping[str, str]], bool] | None = None,
    ) -> None:
        self._plain = plain
        self._limits = limits
        self._verify = verify
        self._last = last
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = _body(request)
        headers = None if body is None else _headers(request)
        if headers is None:
            return await self._plain.handle_async_request(request)
        timeout = request.extensions.get("timeout", {})
        with _as_httpx(request):
            answer = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=timeout.get("pool"),
                    sock_connect=timeout.get("connect"),
                    sock_read=timeout.get("read"),
                ),
                server_hostname=request.extensions.get("sni_hostname"),
            )
        if sum(len(name) + len(value) for name, value in answer.raw_headers) > _LARGEST_HEAD:
            answer.close()
            raise httpx.RemoteProtocolError("Receive buffer too long", request=request)
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            extensions={
                "http_version": b"HTTP/1.1",
                "reason_phrase": (answer.reason or "").encode("ascii", "ignore"),
            },
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._plain.aclose()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._limits.max_connections or 0,
                keepalive_timeout=self._limits.keepalive_expiry,
                ssl=self._verify,
                use_dns_cache=False,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                response_class=type("Answer", (_Answer,), {"last": staticmethod(self._last or _never)}),
                cookie_jar=aiohttp.DummyCookieJar(),  # each httpx client has its own
                skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
                auto_decompress=False,
                max_line_size=_LARGEST_HEAD,
                max_field_size=_LARGEST_HEAD,
                max_headers=_MOST_HEADERS,
            )
        return self._session


def fast_pool(
    plain: httpx.AsyncBaseTransport,
    limits: httpx.Limits,
    verify: ssl.SSLContext,
    last: Callable[[int, Mapping[str, str]], bool] | None = None,
) -> httpx.AsyncBaseTransport:
    """A `FastPool` in place of httpx's own `plain`; a double of a test stays what it is."""
    return FastPool(plain, limits=limits, verify=verify, last=last) if type(plain) is _GENUINE else plain


class _Answer(aiohttp.ClientResponse):
    last: Callable[[int, Mapping[str, str]], bool]

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        await super().start(connection)
        if self.last(self.status, self.headers):
            protocol.force_close()
            if self.connection is None:  # the body has come as well, so the connection was given back already
                protocol.close()
        return self


class _Body(httpx.AsyncByteStream):
    """The body of an answer, in the pieces in which it came."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._answer.close()


def _never(status: int, headers: Mapping[str, str]) -> bool:
    return False


def _body(request: httpx.Request) -> bytes | None:
    """The whole body of `request`; None where it is a stream, or large, or the address holds a password."""
    try:
        body = request.content
    except httpx.RequestNotRead:
        return None
    return body if len(body) <= _WHOLE and not request.url.userinfo else None


def _headers(request: httpx.Request) -> CIMultiDict[str] | None:
    """The headers of `request`; None where aiohttp would write other bytes, or none."""
    raw = request.headers.raw
    try:
        return CIMultiDict([(name.decode("ascii"), value.decode("ascii")) for name, value in raw])
    except UnicodeDecodeError:
        return None


@contextlib.contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        raise
    except Exception as error:
        for theirs, ours, text in _ERRORS:
            if isinstance(error, theirs):
                raise ours(str(error) if text is None else text, request=request) from error
        raise

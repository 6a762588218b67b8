"""Persistent HTTP clients: one cookie jar for each user of an upstream, one connection pool for the upstream.

    get_session(upstream, user) ─> AsyncClient ── jar of (upstream, user), least recently used dropped
                                        └──────── pool of upstream, shared by all its users

Cookies such as Cloudflare's `cf_clearance` are kept and sent back, and never reach another user.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from proxies.cookies import SharedJar, Shelf
from proxies.egress import AnswerLimits, Guard
from proxies.limited_body import await_ends

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 600.0
"""Seconds between two bytes of an answer, where the configuration says nothing."""

STALLED = "Timeout on reading data from socket"
"""The text of a read timeout within an answer: aiohttp's words, which the LiteLLM process passes on."""

MAX_SESSIONS = 1024
"""How many (upstream, user) pairs keep their cookies; user ids come from clients, so there must be an end."""


class _Sessions:
    """Does what all managers share. `read_timeout` in seconds, None for no limit; `limits` are those of answers.

    `transport` makes what carries the calls to an upstream (its base URL, or a name): a pool of connections, unless
    another is given. With `cookies` other processes know the users' cookies, too.
    """

    _environment_proxy = True
    _for_litellm = False
    """Whether the answers are read by LiteLLM."""
    _keepalive_expiry = 30.0  # seconds

    def __init__(
        self,
        *,
        read_timeout: float | None = READ_TIMEOUT,
        max_sessions: int = MAX_SESSIONS,
        limits: AnswerLimits | None = None,
        transport: Callable[[str], httpx.AsyncBaseTransport] | None = None,
        cookies: Shelf | None = None,
    ) -> None:
        self._cookies = cookies
        self._jars: dict[tuple[str, str], SharedJar] = {}
        self._transport = transport or self._pool
        self._timeout = httpx.Timeout(read_timeout, connect=CONNECT_TIMEOUT, pool=CONNECT_TIMEOUT)
        self._max_sessions = max_sessions
        self._guard = Guard(limits, mends=self._for_litellm)
        self._sessions: OrderedDict[tuple[str, str], httpx.AsyncClient] = OrderedDict()
        self._pools: dict[str, httpx.AsyncBaseTransport] = {}
        self._lock = asyncio.Lock()
        self._closed = False

    async def get_session(self, upstream: str, user_id: str) -> httpx.AsyncClient:
        """The client of `user_id` at `upstream` (a base URL, or a name); the same one each time. Don't close it.

        Raises `RuntimeError` after `aclose`.
        """
        key = (upstream.rstrip("/"), user_id)
        if self._cookies is not None:
            await self._cookies.ready()
        async with self._lock:
            if self._closed:
                raise RuntimeError("the sessions are closed")
            session = self._sessions.get(key)
            if session is None or session.is_closed is True:  # a mock's is another mock, which isn't closed
                session = self._sessions[key] = self._open(*key)
            self._sessions.move_to_end(key)
            while len(self._sessions) > self._max_sessions:
                # Not closed: a call may be under way on it, and it owns nothing but its jar.
                dropped, _ = self._sessions.popitem(last=False)
                self._jars.pop(dropped, None)
            if (jar := self._jars.get(key)) is not None:
                jar.take()
            return session

    def count(self) -> dict[str, int]:
        """`open` clients, for how many `upstreams`, and the `limit`."""
        return {"open": len(self._sessions), "upstreams": len(self._pools), "limit": self._max_sessions}

    async def aclose(self) -> None:
        """Closes every client and pool. Calling it again does nothing."""
        async with self._lock:
            self._closed = True
            sessions, pools = list(self._sessions.values()), list(self._pools.values())
            self._sessions.clear()
            self._jars.clear()
            self._pools.clear()
        if self._cookies is not None:
            await self._cookies.aclose()
        await await_ends()
        for session in sessions:
            await session.aclose()
        for pool in pools:
            await pool.aclose()

    def _open(self, upstream: str, user_id: str) -> httpx.AsyncClient:
        if upstream not in self._pools:
            self._pools[upstream] = self._transport(upstream)
        hooks = self._guard.hooks()
        client = httpx.AsyncClient(
            transport=self._lend(self._pools[upstream]),
            timeout=self._timeout,
            headers=self._headers(),
            follow_redirects=True,  # as far as the guard lets it
            event_hooks=hooks,
        )
        if self._cookies is not None:
            jar = self._jars[upstream, user_id] = self._cookies.jar(upstream, user_id, client.cookies.jar)
            # Before the guard's, which raises for some answers, whose cookies the client has kept all the same.
            client.event_hooks = {**hooks, "response": [_giving(jar), *hooks.get("response", ())]}
        return client

    def _pool(self, upstream: str) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(
            max_connections=1000, max_keepalive_connections=100, keepalive_expiry=self._keepalive_expiry
        )
        proxy = _environment_proxy(upstream) if self._environment_proxy else None
        from proxies.fast_pool import fast_pool  # aiohttp takes a while to import

        trusted = _trusted()
        pool = httpx.AsyncHTTPTransport(limits=limits, proxy=proxy, verify=trusted)
        return pool if proxy else fast_pool(pool, limits, trusted, self._last)

    @staticmethod
    def _last(status: int, headers: Mapping[str, str]) -> bool:
        """Whether the connection of an answer with these is not to be used again."""
        return False

    def _lend(self, pool: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        """Return the transport of one client."""
        return _Lent(pool)

    def _headers(self) -> dict[str, str]:
        return {}


def _giving(jar: SharedJar) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return a hook that shares the cookies of an answer."""

    async def give(response: httpx.Response) -> None:
        if "set-cookie" in response.headers:
            jar.give()

    return give


class ProxySessionManager(_Sessions):
    """Clients for the LiteLLM process. It is a neighbour: a proxy set in the environment is not used."""

    _environment_proxy = False
    # LiteLLM closes connections that were idle for 5 seconds; one must not be taken up in that moment.
    _keepalive_expiry = 4.0

    def _lend(self, pool: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        return _LentByLiteLLM(pool)

    @staticmethod
    def _last(status: int, headers: Mapping[str, str]) -> bool:
        return _uncaught(status, headers)


class LiteLLMSessionManager(_Sessions):
    """Clients that `litellm.acompletion` is given for its calls to providers."""

    _for_litellm = True

    def _headers(self) -> dict[str, str]:
        # What LiteLLM's own clients send where a provider's SDK doesn't set its own.
        return {"user-agent": f"litellm/{_litellm_version()}"}


class MemorySessionManager(_Sessions):
    """Clients for stores of memories, which may be far away: a proxy set in the environment is used."""


class _Lent(httpx.AsyncBaseTransport):
    """A pool that outlives the client which uses it."""

    def __init__(self, pool: httpx.AsyncBaseTransport) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._pool.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Outspoken(response.stream)
        return response


class _LentByLiteLLM(_Lent):
    """The pool of the LiteLLM process, without the connections that it is about to close.

    What LiteLLM didn't catch is answered with 500, without the headers that its other answers have; then its server
    writes a traceback, and only then closes the connection, which nothing in the answer says. Whoever took it up
    meanwhile would get no answer at all.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        uncaught = _uncaught(response.status_code, response.headers)
        length = response.headers.get("content-length", "")
        if uncaught and length.isdecimal() and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _LastBody(response.stream, int(length))
        return response


def _uncaught(status: int, headers: Mapping[str, str]) -> bool:
    return status == 500 and "x-litellm-call-id" not in headers


class _LastBody(httpx.AsyncByteStream):
    """A body of `length` bytes whose end is never looked for, so that its connection doesn't go back to the pool."""

    def __init__(self, body: httpx.AsyncByteStream, length: int) -> None:
        self._body = body
        self._left = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self._body)
        while self._left > 0 and (piece := await anext(pieces, b"")):
            self._left -= len(piece)
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class _Outspoken(httpx.AsyncByteStream):
    """A body whose read timeout says so: httpx leaves the text empty, and LiteLLM passes on nothing else."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except httpx.ReadTimeout as error:
            raise httpx.ReadTimeout(STALLED) from error

    async def aclose(self) -> None:
        await self._body.aclose()


def _trusted() -> ssl.SSLContext:
    """The certificates that TLS trusts, the same object for every pool: reading them stops the event loop for 25 ms."""
    return _read_certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _read_certificates(*_where: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


@cache
def _litellm_version() -> str:
    from importlib.metadata import version

    return version("litellm")


def _environment_proxy(upstream: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, NO_PROXY and their kin name; httpx asks them only for pools of its own."""
    parts = urlsplit(upstream)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")

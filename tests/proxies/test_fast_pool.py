"""That a call over aiohttp looks to httpx as one over httpcore: what is sent, what comes back, how it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from proxies.fast_pool import FastPool, fast_pool
from tests.proxies.raw_server import Serve, serving

LIMITS = httpx.Limits(max_connections=10, keepalive_expiry=5.0)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Plain(httpx.AsyncBaseTransport):
    """Counts what goes past aiohttp."""

    def __init__(self) -> None:
        self.calls = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return httpx.Response(200)

    async def aclose(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def calling(plain: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client on a pool."""
    pool = FastPool(plain or Plain(), limits=LIMITS, verify=httpx.create_ssl_context(verify=False))
    async with httpx.AsyncClient(transport=pool) as client:
        yield client


def answering(answer: bytes) -> Serve:
    """Give each request on a connection the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)

    return serve


async def test_what_is_sent_is_what_httpx_would_send() -> None:
    """Nothing is added to the headers, nothing quoted anew in the target, and a connection serves many calls."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(b"")
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head + await reader.readexactly(2))
            writer.write(OK)

    async with serving(serve) as url, calling() as client:
        for _ in range(2):
            request = client.build_request("POST", f"{url}a%2Fb?c=%20d", content=b"{}")
            del request.headers["user-agent"], request.headers["accept"], request.headers["accept-encoding"]
            assert (await client.send(request)).text == "hi"
    host = url.removeprefix("http://").rstrip("/").encode()
    sent = (
        b"POST /a%2Fb?c=%20d HTTP/1.1\r\nHost: "
        + host
        + b"\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert heads == [b"", sent, sent]


async def test_headers_come_back_as_bytes() -> None:
    """A header that is no ASCII, or there twice, or longer than aiohttp likes, is handed on as it came."""
    long = b"x" * 20_000
    answer = (
        b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-A: caf\xe9\r\nX-A: 2\r\nX-Long: " + long + b"\r\n\r\nhi"
    )
    async with serving(answering(answer)) as url, calling() as client:
        got = await client.get(url)
    assert got.headers.raw[1:] == [(b"X-A", b"caf\xe9"), (b"X-A", b"2"), (b"X-Long", long)]
    assert (got.reason_phrase, got.http_version) == ("Fine", "HTTP/1.1")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "Server disconnected without sending a response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi", "peer closed connection"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", None),
        (b"no HTTP at all\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2000 + b"\r\n", None),
        (b"HTTP/1.1 200 OK\r\n" + (b"x: " + b"a" * 60_000 + b"\r\n") * 2 + b"\r\n", "too long"),
    ],
    ids=("none", "short", "chunks", "no-http", "long-header", "many-headers", "long-headers"),
)
async def test_broken_answers(answer: bytes, says: str | None) -> None:
    """They raise what httpx raises, and headers are limited one by one, in their number, and together."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with serving(serve) as url, calling() as client:
        with pytest.raises(httpx.RemoteProtocolError, match=says):
            await client.get(url)


async def test_nobody_there() -> None:
    """A port that refuses is a connect error, in httpcore's words."""
    async with serving(answering(OK)) as url:
        pass
    async with calling() as client:
        with pytest.raises(httpx.ConnectError, match="All connection attempts failed"):
            await client.get(url)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh"])
async def test_a_server_that_stalls(answer: bytes) -> None:
    """It is a read timeout, before the answer and within it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    async with serving(serve) as url, calling() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=httpx.Timeout(5.0, read=0.05))


async def test_cancelling_closes_the_connection() -> None:
    """The server sees the end of a call that nobody waits for any more."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert await reader.read() == b""
        gone.set()

    async with serving(serve) as url, calling() as client:
        call = asyncio.ensure_future(client.get(url))
        await asked.wait()
        call.cancel()
        async with asyncio.timeout(5):
            await gone.wait()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_the_rest_goes_the_plain_way() -> None:
    """A streamed body, a large one, a password in the address, and headers that are no ASCII."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    plain = Plain()
    async with calling(plain) as client:
        await client.post("http://a", content=pieces())
        await client.post("http://a", content=b"x" * 1_000_000)
        await client.get("http://ann:secret@a")
        await client.get("http://a", headers=[(b"x", b"\xe9")])
        assert plain.calls == 4
    assert plain.closed


async def test_a_double_stays_what_it_is() -> None:
    """What a test put in the place of httpx's transport is asked, and not gone around."""
    verify = httpx.create_ssl_context(verify=False)
    plain = Plain()
    assert fast_pool(plain, LIMITS, verify) is plain
    genuine = httpx.AsyncHTTPTransport(verify=verify)
    assert isinstance(fast_pool(genuine, LIMITS, verify), FastPool)

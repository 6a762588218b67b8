"""Connections on real sockets: what is no request, too large, too slow or one too many."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from proxies.config.limits import Limits
from proxies.front.app import build_app
from proxies.front.connections import PROBES
from proxies.front.routes import TABLE
from proxies.server import http11 as module
from proxies.server.http11 import http11, make_room
from proxies.server.room import PROBE_PLACES
from tests import samples
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

KEY_LINE = f"authorization: Bearer {KEY}\r\n"
GET = f"GET /v1/models HTTP/1.1\r\nhost: a\r\n{KEY_LINE}"
POST = f"POST /v1/messages HTTP/1.1\r\nhost: a\r\n{KEY_LINE}"


@contextlib.asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[int]:
    """A port where the app is served as the command line serves it."""
    config = make_config(limits=limits)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(config, FakeBackend(reply=samples.message())),
            http=http11(config.limits),
            log_config=None,
            access_log=False,
        )
    )
    with sock:
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, 20)


class Peer:
    """A client that sends bytes and reads what comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, port: int) -> AsyncIterator[Peer]:
        peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            yield peer
        finally:
            peer.writer.close()
            with contextlib.suppress(ConnectionError):
                await peer.writer.wait_closed()

    async def send(self, text: str) -> None:
        with contextlib.suppress(ConnectionError):
            self.writer.write(text.encode("latin-1"))
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, json.loads(body)

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)


async def test_a_large_head_is_refused_while_it_comes() -> None:
    """Nobody makes the proxy keep a header of megabytes; the refusal arrives, though not all was read."""
    async with served(max_header_bytes=4096) as port, Peer.at(port) as peer:
        sending = asyncio.create_task(peer.send(f"{POST}x-a: {'y' * 5_000_000}\r\n\r\n"))
        status, headers, body = await peer.answer()
        assert status == 431
        assert headers["connection"] == "close"
        assert body["type"] == "error"
        assert "4096" in body["error"]["message"]
        await sending
        assert await peer.rest() == b""


@pytest.mark.parametrize(
    "head", ["x-a: a\0b", "x-a: a\rb", "no header", "content-length: x", "transfer-encoding: z"]
)
async def test_what_is_no_http_is_told_in_the_envelope(head: str) -> None:
    """Broken requests get the envelope of the route that they seem to want."""
    async with served() as port, Peer.at(port) as peer:
        await peer.send(f"{POST}{head}\r\n\r\n")
        status, _, body = await peer.answer()
        assert status == 400
        assert body["type"] == "error"


@pytest.mark.parametrize("host", ["http://127.0.0.1:8080", "HTTP://elsewhere.example"])
async def test_a_target_may_be_a_whole_url(host: str) -> None:
    """It is answered as its path is, in the envelope of that path where it is refused; its host decides nothing."""
    async with served() as port, Peer.at(port) as peer:
        await peer.send(f"{GET.replace('/v1', host + '/v1', 1)}\r\n")
        status, _, body = await peer.answer()
        assert (status, body["object"]) == (200, "list")
        await peer.send(f"{POST.replace('/v1', host + '/v1', 1)}content-length: x\r\n\r\n")
        status, _, body = await peer.answer()
        assert (status, body["type"]) == (400, "error")


async def test_who_offers_http2_is_answered_in_http1() -> None:
    """Java's HTTP client does with each of its requests, and its body is read all the same."""
    body = json.dumps({"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
    async with served() as port, Peer.at(port) as peer:
        for _ in range(2):
            length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            await peer.send(f"{POST}{offer}{length}\r\n{body}")
            status, _, answer = await peer.answer()
            assert (status, answer["type"]) == (200, "message")


async def test_a_broken_chunk_ends_the_request() -> None:
    """A body that is no chunked body any more is answered once, and what it held of the proxy is free again."""
    async with served(max_concurrent_requests=1) as port:
        for _ in range(3):
            async with Peer.at(port) as peer:
                await peer.send(f"{POST}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n")
                await peer.send("zz\r\nfoo\r\n")
                status, _, body = await peer.answer()
                assert (status, body["type"]) == (400, "error")
                assert await peer.rest() == b""


async def test_headers_that_do_not_come() -> None:
    """Half a head is answered 408 when the time is over; a connection that asked for nothing is just closed."""
    async with served(header_timeout=0.2) as port:
        async with Peer.at(port) as peer:
            await peer.send("GET /v1/mod")
            assert (await peer.answer())[0] == 408
        async with Peer.at(port) as peer:
            assert await peer.rest() == b""


async def test_headers_that_do_not_come_after_another_request() -> None:
    """Half a head that came together with a request is answered 408 as well: no answer makes it wait for longer."""
    async with served(header_timeout=0.2) as port, Peer.at(port) as peer:
        await peer.send(f"{GET}\r\nPOST /v1/messages HTTP/1.1\r\nhost")
        assert (await peer.answer())[0] == 200
        status, _, body = await peer.answer()
        assert (status, body["type"]) == (408, "error")


async def test_a_drip_of_headers_does_not_win_time() -> None:
    """Each byte is no new start: the time is for all headers, also of a connection's later requests."""
    async with served(header_timeout=0.3) as port, Peer.at(port) as peer:
        await peer.send(f"{GET}\r\n")
        assert (await peer.answer())[0] == 200
        await asyncio.sleep(0.5)  # idle between requests is no headers that are late
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < 5 and not peer.reader._buffer:  # type: ignore[attr-defined]
                await peer.send("a")
                await asyncio.sleep(0.02)
        assert (await peer.answer())[0] == 408
        assert time.monotonic() - started < 3


async def test_a_body_that_nobody_wants_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was refused can't go on uploading for ever."""
    monkeypatch.setattr(module, "LINGER", 0.2)
    async with served() as port, Peer.at(port) as peer:
        await peer.send("POST /v1/messages HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        assert (await peer.answer())[0] == 401
        started = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - started < 5 and not peer.reader.at_eof():
                await peer.send("1\r\na\r\n")
                await asyncio.sleep(0.02)
        assert time.monotonic() - started < 3


async def test_a_refused_body_that_ends_leaves_the_connection_usable() -> None:
    """After a refusal the rest of the body is thrown away, and the next request on the connection is served."""
    async with served() as port, Peer.at(port) as peer:
        await peer.send("POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n")
        assert (await peer.answer())[0] == 401
        await peer.send("full")
        await peer.send(f"{GET}\r\n")
        assert (await peer.answer())[0] == 200


@pytest.mark.parametrize("broken", ["content-length: x\r\n\r\n", f"x-a: {'y' * 100_000}"], ids=["400", "431"])
@pytest.mark.parametrize("late", [False, True], ids=["together", "body-late"])
async def test_a_later_request_gets_the_envelope_of_its_own_route(broken: str, late: bool) -> None:
    """It comes in one piece with the end of the request before it, whose route has the other envelope."""
    async with served() as port, Peer.at(port) as peer:
        first = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n"
        rest = f"full{POST}{broken}"
        await peer.send(first if late else first + rest)
        status, _, refused = await peer.answer()
        if late:
            await peer.send(rest)
        assert (status, refused["error"]["code"]) == (401, "invalid_api_key")
        status, _, body = await peer.answer()
        assert (status, body.get("type")) == (400 if broken.endswith("\n") else 431, "error")


async def test_a_client_that_asks_later_is_not_late() -> None:
    """The time for headers ends with them: a slow body, or a long answer, has times of its own."""
    async with served(header_timeout=0.2, body_timeout=5) as port, Peer.at(port) as peer:
        body = '{"model": "fast", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}'
        await peer.send(f"{POST}content-length: {len(body)}\r\n\r\n{body[:9]}")
        await asyncio.sleep(0.4)
        await peer.send(body[9:])
        assert (await peer.answer())[0] == 200


async def test_one_connection_too_many() -> None:
    """All others having the key it is refused and closed, they go on, and a place that is left can be taken."""
    async with served(max_connections=3) as port:
        async with contextlib.AsyncExitStack() as opened:
            first, *_ = [await known(opened, port) for _ in range(3)]
            async with Peer.at(port) as refused:
                await refused.send(f"{GET}\r\n")
                status, headers, body = await refused.answer()
                assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
                assert body["error"]["code"] == "service_unavailable"
            await first.send(f"{GET}\r\n")
            assert (await first.answer())[0] == 200
        async with asyncio.timeout(5):
            while True:
                async with Peer.at(port) as later:
                    await later.send(f"{GET}\r\n")
                    if (await later.answer())[0] == 200:
                        break
                await asyncio.sleep(0.05)


PROBE = "GET /health HTTP/1.1\r\nhost: a\r\n\r\n"


async def known(opened: contextlib.AsyncExitStack, port: int) -> Peer:
    """A peer that has shown the key, and is idle since."""
    peer = await opened.enter_async_context(Peer.at(port))
    await peer.send(f"{GET}\r\n")
    assert (await peer.answer())[0] == 200
    return peer


@pytest.mark.parametrize("before", ["", PROBE, "GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n", "GET /v1/mod"])
async def test_who_is_idle_without_a_key_gives_way(before: str) -> None:
    """The oldest of them goes, whatever it has done before, and a newcomer is served; who has the key stays."""
    async with served(max_connections=3) as port, contextlib.AsyncExitStack() as opened:
        holder = await known(opened, port)
        idle = [await opened.enter_async_context(Peer.at(port)) for _ in range(2)]
        for peer in idle:
            await peer.send(before)
            if before.endswith("\r\n\r\n"):
                await peer.answer()
        await asyncio.sleep(0.05)  # what was half sent has been read
        newcomer = await known(opened, port)
        said = await idle[0].rest()
        assert said.startswith(b"HTTP/1.1 503 ") if before == "GET /v1/mod" else said == b""
        await known(opened, port)
        await idle[1].rest()
        for peer in (holder, newcomer):
            await peer.send(f"{GET}\r\n")
            assert (await peer.answer())[0] == 200


async def test_who_is_being_answered_does_not_give_way() -> None:
    """Also without a key, as an interceptor's clients are; the newcomer is refused."""
    async with served(max_connections=1) as port, Peer.at(port) as busy:
        body = '{"model": "fast", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}'
        await busy.send(f"{POST}content-length: {len(body)}\r\n\r\n{body[:9]}")
        async with Peer.at(port) as newcomer:
            await newcomer.send(f"{GET}\r\n")
            assert (await newcomer.answer())[0] == 503
        await busy.send(body[9:])
        assert (await busy.answer())[0] == 200


async def test_probes_have_places_of_their_own() -> None:
    """With all places taken by clients with the key a probe is answered, once a connection, however many wait there."""
    async with served(max_connections=2) as port, contextlib.AsyncExitStack() as opened:
        for _ in range(2):
            await known(opened, port)
        waiting = [await opened.enter_async_context(Peer.at(port)) for _ in range(PROBE_PLACES + 5)]
        for path in sorted(PROBES):
            async with Peer.at(port) as peer:
                await peer.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
                answer = await peer.rest()
                assert answer.startswith(b"HTTP/1.1 200 "), path
                assert b"\r\nconnection: close\r\n" in answer
        assert await waiting[0].rest() == b""
        await waiting[-1].send(PROBE)
        assert (await waiting[-1].answer())[0] == 200


def test_probes_are_open() -> None:
    """Who has no place is answered nothing that needs the key."""
    assert {row.path for row in TABLE if row.open} >= PROBES


async def test_many_newcomers_are_refused_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds over the limit get an answer each or are closed, and those within it are served."""
    monkeypatch.setattr(module, "PROBE_PLACES", 0)
    async with served(max_connections=10) as port, contextlib.AsyncExitStack() as opened:
        holders = [await known(opened, port) for _ in range(10)]
        peers = [await opened.enter_async_context(Peer.at(port)) for _ in range(400)]
        ends = await asyncio.gather(*(peer.rest() for peer in peers), return_exceptions=True)
        told = [end for end in ends if isinstance(end, bytes) and end.startswith(b"HTTP/1.1 503")]
        assert len(told) >= 250
        await holders[0].send(f"{GET}\r\n")
        assert (await holders[0].answer())[0] == 200


async def test_thousands_of_idle_connections_lock_nobody_out() -> None:
    """Many more idle connections than there are places, each of which asked a probe once: a newcomer is served."""
    async with served(max_connections=100) as port, contextlib.AsyncExitStack() as opened:
        for _ in range(300):
            peer = await opened.enter_async_context(Peer.at(port))
            await peer.send(PROBE)
            assert (await peer.answer())[0] == 200
        began = time.monotonic()
        await known(opened, port)
        assert time.monotonic() - began < 1


def test_room_for_the_connections(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The process may open enough files, or says that it can't, and takes as many connections as it can."""
    resource = pytest.importorskip("resource")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: asked.append(limit))
    for now, wanted, kept in (
        ((1024, 100_000), [(4256, 100_000)], 2000),
        ((1024, 2048), [(2048, 2048)], 896),
        ((64, 64), [(64, 64)], 24),
        ((1024, resource.RLIM_INFINITY), [(4256, resource.RLIM_INFINITY)], 2000),
        ((5000, 5000), [], 2000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), [], 2000),
    ):
        asked.clear()
        caplog.clear()
        monkeypatch.setattr(resource, "getrlimit", lambda _, now=now: now)
        [limits] = make_room(Limits(max_connections=2000))
        assert asked == wanted
        assert limits.max_connections == kept
        assert ("max_connections: 2000" in caplog.text) is (kept < 2000)
        assert (f"enough for {kept} connections" in caplog.text) is (kept < 2000)


def test_room_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who serves more than one application needs room for all of them, and each gets its part of it."""
    resource = pytest.importorskip("resource")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: asked.append(limit))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1256))
    both = make_room(Limits(max_connections=3000), Limits(max_connections=1000))
    assert [limits.max_connections for limits in both] == [375, 125]
    assert asked == [(1256, 1256)]


def test_where_there_is_no_such_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no limit of open files to be raised."""
    monkeypatch.setattr(module, "resource", None)
    assert make_room(Limits()) == [Limits()]

"""Headers within their limits, and a place for each request as long as it is being answered."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from proxies.config.limits import Limits
from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.front.places import Places, check_headers
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config

AUTH = {"authorization": f"Bearer {KEY}"}
ONE = make_config(limits={"max_concurrent_requests": 1})


def asked(*, stream: bool = False) -> bytes:
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return json.dumps(body).encode()


async def status_of(exchange: Exchange) -> int:
    return int((await exchange.message())["status"])


@pytest.mark.parametrize("stream", [False, True])
async def test_no_place_left(stream: bool) -> None:
    """While as many are answered as may be, a further one is refused with retry-after, and costs no call."""
    backend = FakeBackend(chunks=[{"n": 0}, asyncio.Event()], hang=not stream)
    app = build_app(ONE, backend)
    first = Exchange(app, "/v1/chat/completions", asked(stream=stream), AUTH)
    await asyncio.wait_for(backend.called.wait(), 5)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        refused = await client.post("/v1/chat/completions", content=asked(), headers=AUTH)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("overloaded_error", "service_unavailable")
        anthropic = await client.post("/v1/messages", content=asked(), headers=AUTH)
        assert anthropic.json()["error"]["type"] == "overloaded_error"
        for path in ("/health", "/health/readiness", "/metrics", "/memory-routing/info"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.post("/v1/chat/completions", content=asked())).status_code == 401
    assert len(backend.calls) == 1
    first.disconnect()
    await first.end()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_its_place(stream: bool) -> None:
    """Whether it leaves before its answer or in the middle of a stream, the next one is served."""
    backend = FakeBackend(chunks=[{"n": 0}, asyncio.Event()], hang=not stream)
    app = build_app(ONE, backend)
    for _ in range(3):
        backend.called.clear()
        exchange = Exchange(app, "/v1/chat/completions", asked(stream=stream), AUTH)
        if stream:
            assert await status_of(exchange) == 200
        else:
            await asyncio.wait_for(backend.called.wait(), 5)
        exchange.disconnect()
        await exchange.end()


async def test_every_end_frees_the_place() -> None:
    """An answer, a refusal, a failure, a bug and a stream's end: none of them keeps the place."""
    for backend in (
        FakeBackend(reply={"choices": []}),
        FakeBackend(error=ProxyError(429, "Slow down.")),
        FakeBackend(error=KeyError("a bug")),
        FakeBackend(chunks=[{"n": 0}]),
        FakeBackend(chunks=[{"n": 0}, KeyError("a bug")]),
    ):
        app = build_app(ONE, backend)
        for stream in (False, True):
            for body in (asked(stream=stream), b"{", asked(stream=stream)):
                exchange = Exchange(app, "/v1/chat/completions", body, AUTH)
                assert await status_of(exchange) != 503
                await exchange.end()


def test_a_place_is_freed_once() -> None:
    """Freeing twice makes no second place."""
    places = Places(1)
    place = places.take()
    place.free()
    place.free()
    assert places.taken == 0
    places.take()
    with pytest.raises(ProxyError):
        places.take()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"a", b"b")] * 10, None),
        ([(b"a", b"b")] * 11, 431),
        ([(b"aaaa", b"b" * 1020)], None),
        ([(b"aaaa", b"b" * 1021)], 431),
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], 400),
        ([(b"transfer-encoding", b"chunked")], None),
    ],
)
def test_headers(headers: list[tuple[bytes, bytes]], status: int | None) -> None:
    """Number and size are limited to the byte, and a body has one length."""
    limits = Limits(max_headers=10, max_header_bytes=1024)
    if status is None:
        check_headers(headers, limits)
        return
    with pytest.raises(ProxyError) as refused:
        check_headers(headers, limits)
    assert refused.value.status == status


async def test_headers_are_checked_before_the_key() -> None:
    """Also on routes that need none: whoever sends too much is told that first."""
    app = build_app(make_config(limits={"max_headers": 3}), FakeBackend())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        for path in ("/health", "/v1/models"):
            refused = await client.get(path)
            assert refused.status_code == 431
            assert refused.json()["error"]["code"] == "request_headers_too_large"

"""Who shares what: cookies never, connections always, and nothing grows without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from proxies import sessions as sessions_module
from proxies.sessions import STALLED, LiteLLMSessionManager, ProxySessionManager, _environment_proxy
from tests.proxies.raw_server import serving
from tests.upstream import Upstream

MANAGERS = [ProxySessionManager, LiteLLMSessionManager]


def set_cookie(request: httpx.Request) -> httpx.Response:
    """As Cloudflare: a cookie, here named after the path."""
    name = request.url.path.strip("/")
    return httpx.Response(200, headers={"set-cookie": f"cf_clearance={name}; Path=/"}, json={})


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setattr(
        sessions_module, "_litellm_version", lambda: "1"
    )  # LiteLLM needn't be installed for this
    return Upstream(set_cookie)


@pytest.mark.parametrize("manager", MANAGERS)
async def test_cookies_are_a_users_own(manager: type[Any], upstream: Upstream) -> None:
    """A user's cookies come back to the upstream that set them, and nobody else's do."""
    sessions = upstream.sessions(manager)
    for user in ("ann", "ann", "bob"):
        session = await sessions.get_session("http://a", user)
        await session.get(f"http://a/{user}")
    other = await sessions.get_session("http://b", "ann")
    await other.get("http://b/ann")
    assert [request.headers.get("cookie") for request in upstream.requests] == [
        None,
        "cf_clearance=ann",
        None,
        None,
    ]
    await sessions.aclose()


@pytest.mark.parametrize("manager", MANAGERS)
async def test_same_client_each_time_under_concurrency(manager: type[Any], upstream: Upstream) -> None:
    """Many callers at once get one client for one user of one upstream."""
    sessions = upstream.sessions(manager)
    got = await asyncio.gather(*(sessions.get_session("http://a/", "ann") for _ in range(50)))
    assert len({id(client) for client in got}) == 1
    assert await sessions.get_session("http://a", "ann") is got[0]
    assert await sessions.get_session("http://a", "bob") is not got[0]
    await sessions.aclose()


async def test_least_recently_used_is_forgotten(upstream: Upstream) -> None:
    """Beyond the limit the least recently used client goes, unclosed for the calls it may be in."""
    sessions = upstream.sessions(ProxySessionManager, max_sessions=2)
    ann = await sessions.get_session("http://a", "ann")
    bob = await sessions.get_session("http://a", "bob")
    await sessions.get_session("http://a", "ann")
    await sessions.get_session("http://a", "eve")
    assert await sessions.get_session("http://a", "ann") is ann
    assert await sessions.get_session("http://a", "bob") is not bob
    assert not bob.is_closed
    await bob.get("http://a/bob")
    await sessions.aclose()


@pytest.mark.parametrize("manager", MANAGERS)
async def test_closing(manager: type[Any], upstream: Upstream) -> None:
    """Closing closes clients and pool once, can be repeated, and ends the giving out."""
    sessions = upstream.sessions(manager)
    client = await sessions.get_session("http://a", "ann")
    await sessions.get_session("http://a", "bob")
    await sessions.aclose()
    await sessions.aclose()
    assert client.is_closed
    assert upstream.closed == 1
    with pytest.raises(RuntimeError):
        await sessions.get_session("http://a", "ann")


async def test_closed_client_is_replaced(upstream: Upstream) -> None:
    """A client that somebody closed is not given out again, and its pool lives on."""
    sessions = upstream.sessions(ProxySessionManager)
    client = await sessions.get_session("http://a", "ann")
    await client.aclose()
    again = await sessions.get_session("http://a", "ann")
    assert (await again.get("http://a/x")).status_code == 200
    assert upstream.closed == 0
    await sessions.aclose()


async def test_client_class_is_looked_up_when_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """`httpx.AsyncClient` can be patched after this module was imported."""

    class Patched(httpx.AsyncClient): ...

    monkeypatch.setattr(httpx, "AsyncClient", Patched)
    sessions = ProxySessionManager()
    assert isinstance(await sessions.get_session("http://a", ""), Patched)
    await sessions.aclose()


async def test_timeouts(upstream: Upstream) -> None:
    """Answers may take long, connecting may not."""
    sessions = upstream.sessions(ProxySessionManager, read_timeout=None)
    timeout = (await sessions.get_session("http://a", "")).timeout
    assert (timeout.read, timeout.connect) == (None, 10.0)
    await sessions.aclose()


async def test_stall_within_a_body_is_named() -> None:
    """A read timeout in the middle of a body carries a text, which httpx leaves empty."""

    class Stalling(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"x"
            raise httpx.ReadTimeout("")

    sessions = Upstream(httpx.Response(200, stream=Stalling())).sessions(ProxySessionManager)
    session = await sessions.get_session("http://a", "")
    with pytest.raises(httpx.ReadTimeout, match=STALLED):
        await session.get("http://a/")
    await sessions.aclose()


def test_environment_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables decide about a provider's proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert _environment_proxy("https://api.example") is None
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert _environment_proxy("https://api.example/v1") == "http://proxy:1"
    assert _environment_proxy("https://inside.example/v1") is None
    assert _environment_proxy("") is None


async def test_count() -> None:
    """Clients and upstreams are counted, and nothing of theirs is told."""
    sessions = ProxySessionManager(max_sessions=3)
    for upstream, user in (
        ("http://a", "ann"),
        ("http://a", "bob"),
        ("http://b", "ann"),
        ("http://b/", "ann"),
    ):
        await sessions.get_session(upstream, user)
    assert sessions.count() == {"open": 3, "upstreams": 2, "limit": 3}
    await sessions.aclose()
    assert sessions.count() == {"open": 0, "upstreams": 0, "limit": 3}


async def test_closing_while_others_ask() -> None:
    """Whoever asks at the moment of closing gets a client or is refused, and all closings end."""
    sessions = ProxySessionManager()
    asked = [sessions.get_session("http://a", f"user-{n}") for n in range(50)]
    closed = [sessions.aclose() for _ in range(3)]
    answers = await asyncio.gather(*asked[:25], *closed, *asked[25:], return_exceptions=True)
    clients = [answer for answer in answers if isinstance(answer, httpx.AsyncClient)]
    refusals = [answer for answer in answers if isinstance(answer, RuntimeError)]
    assert len(clients) + len(refusals) == 50
    assert all(client.is_closed for client in clients)


async def test_a_connection_that_is_about_to_be_closed_is_not_taken_up() -> None:
    """After a 500 that LiteLLM didn't make itself the next request has another connection; otherwise it hasn't."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mark = "" if connections == 1 else "x-litellm-call-id: 1\r\n"
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(f"HTTP/1.1 500 No\r\n{mark}content-length: 2\r\n\r\n{{}}".encode())
            if not mark:
                await reader.readuntil(b"\r\n\r\n")  # whatever comes now is never answered
                break

    sessions = ProxySessionManager()
    async with serving(serve) as url:
        session = await sessions.get_session(url, "ann")
        for _ in range(4):
            answer = await session.get(url)
            assert (answer.status_code, answer.text) == (500, "{}")
        await sessions.aclose()
    assert connections == 2

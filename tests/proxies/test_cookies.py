"""Cookies that one process earns serve the user in the others: two session managers, each with its own connection."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from proxies.cookies import CookieFile
from proxies.sessions import MemorySessionManager
from proxies.shared import Count, Shared
from tests.upstream import Upstream

Pair = tuple[CookieFile, CookieFile]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Pair]:
    """One file as two processes have it open; what they count they have in common."""
    changes = Count(Shared())
    made = CookieFile(tmp_path / "cookies.sqlite", changes), CookieFile(tmp_path / "cookies.sqlite", changes)
    yield made
    for file in made:
        await file.aclose()


def answer(request: httpx.Request) -> httpx.Response:
    """Set, or delete, the cookie that the path names."""
    what, _, name = request.url.path.strip("/").partition("/")
    lines = {
        "set": f"{name}=earned; Path=/; Secure; HttpOnly",
        "change": f"{name}=again; Path=/",
        "delete": f"{name}=; Path=/; Max-Age=0",
    }
    return httpx.Response(200, headers={"set-cookie": lines[what]} if what in lines else {}, json={})


async def test_what_one_earns_serves_the_others(files: Pair) -> None:
    """Set, changed and deleted; at that upstream, for that user, with its attributes, and for nobody else."""
    upstream = Upstream(answer)
    one, other = (upstream.sessions(MemorySessionManager, cookies=file) for file in files)

    async def sent(manager: MemorySessionManager, url: str, user: str = "ann") -> str | None:
        session = await manager.get_session("https://a", user)
        await session.get(url)
        return upstream.requests[-1].headers.get("cookie")

    assert await sent(other, "https://a/x") is None
    assert await sent(one, "https://a/set/cf_clearance") is None
    assert await sent(other, "https://a/x") == "cf_clearance=earned"
    assert await sent(other, "http://a/x") is None  # it is for TLS alone, as the provider said
    assert await sent(other, "https://a/x", "bob") is None
    assert await sent(other, "https://a/set/own") == "cf_clearance=earned"
    assert sorted((await sent(one, "https://a/change/own") or "").split("; ")) == [
        "cf_clearance=earned",
        "own=earned",
    ]
    assert sorted((await sent(other, "https://a/x") or "").split("; ")) == [
        "cf_clearance=earned",
        "own=again",
    ]
    await sent(other, "https://a/delete/cf_clearance")
    assert await sent(one, "https://a/x") == "own=again"
    session = await other.get_session("https://b", "ann")
    await session.get("https://b/x")
    assert upstream.requests[-1].headers.get("cookie") is None
    for manager in (one, other):
        await manager.aclose()


async def test_what_two_earn_at_once_is_kept_of_both(files: Pair) -> None:
    upstream = Upstream(answer)
    managers = [upstream.sessions(MemorySessionManager, cookies=file) for file in files]
    sessions = [await manager.get_session("https://a", "ann") for manager in managers]
    for number, session in enumerate(sessions):
        await session.get(f"https://a/set/c{number}")
    for manager in managers:
        session = await manager.get_session("https://a", "ann")
        assert sorted(cookie.name for cookie in session.cookies.jar) == ["c0", "c1"]
        await manager.aclose()


async def test_nothing_is_read_until_something_changed(files: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call costs a look at a number; the file is read once for each change."""
    read: list[str] = []
    monkeypatch.setattr(CookieFile, "read", lambda self, upstream, user: read.append(user) or {})
    manager = Upstream(answer).sessions(MemorySessionManager, cookies=files[0])
    for _ in range(3):
        await manager.get_session("https://a", "ann")
    assert read == ["ann"]
    files[1].write("https://b", "bob", {}, ())
    for _ in range(3):
        await manager.get_session("https://a", "ann")
    assert read == ["ann", "ann"]
    await manager.aclose()


async def test_only_so_many_are_kept(tmp_path: Path) -> None:
    """Those go first whose cookies changed longest ago; and nobody but the owner can read the file."""
    path = tmp_path / "cookies.sqlite"
    file = CookieFile(path, Count(Shared()), most=2)
    for user in ("ann", "bob", "ann", "eve"):
        file.write("https://a", user, {user: "{}"}, ())
    assert [user for user in ("ann", "bob", "eve") if file.read("https://a", user)] == ["ann", "eve"]
    assert path.stat().st_mode & 0o777 == 0o600
    await file.aclose()


def test_a_file_that_fails_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, without a cookie in it, and the jar is as it was."""
    path = tmp_path / "cookies.sqlite"
    path.write_text("no database, long enough to be taken for a damaged one" * 100)
    file = CookieFile(path, Count(Shared()))
    jar = httpx.Cookies({"cf_clearance": "secret-of-ann"}).jar
    shared = file.jar("https://a", "ann", jar)
    for _ in range(3):
        shared.take()
        shared.give()
    assert [cookie.value for cookie in jar] == ["secret-of-ann"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "cookies: each worker goes on with those that it has seen itself" in record.getMessage()
    assert "secret-of-ann" not in caplog.text

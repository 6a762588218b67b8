"""Cookies that one machine earns serve the user on the others, through a Redis."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from proxies.config.sharing import SharedStore
from proxies.redis_cookies import RedisCookies
from proxies.sessions import MemorySessionManager
from proxies.shared import Shared
from proxies.support.backoff import Backoff
from tests.polling import until
from tests.proxies.test_cookies import answer
from tests.redis_server import KINDS, redis_server, started
from tests.upstream import Upstream

SOON = Backoff(first=0.02, most=0.05)
PAIR = ("https://a", "ann")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[SharedStore]:
    with redis_server(request.param) as url:
        yield SharedStore(url=url)


@asynccontextmanager
async def machines(
    store: SharedStore, number: int = 2, most: int = 1024
) -> AsyncIterator[list[RedisCookies]]:
    made = [RedisCookies(store, most, SOON) for _ in range(number)]
    for one in made:
        await one.ready()
    try:
        yield made
    finally:
        for one in made:
            await one.aclose()


async def test_what_one_machine_earns_serves_the_others(store: SharedStore) -> None:
    """Set, changed and deleted; at that upstream, for that user, and for nobody else."""
    upstream = Upstream(answer)
    async with machines(store) as (here, there):
        one, other = (upstream.sessions(MemorySessionManager, cookies=shelf) for shelf in (here, there))

        async def sent(manager: MemorySessionManager, url: str, user: str = "ann") -> str | None:
            session = await manager.get_session("https://a", user)
            await session.get(url)
            return upstream.requests[-1].headers.get("cookie")

        assert await sent(one, "https://a/set/cf_clearance") is None
        await until(lambda: bool(there.read(*PAIR)))
        assert await sent(other, "https://a/x") == "cf_clearance=earned"
        assert await sent(other, "http://a/x") is None  # it is for TLS alone, as the provider said
        assert await sent(other, "https://a/x", "bob") is None
        before = here.read(*PAIR)
        assert await sent(other, "https://a/change/cf_clearance") == "cf_clearance=earned"
        await until(lambda: here.read(*PAIR) != before)
        assert await sent(one, "https://a/x") == "cf_clearance=again"
        await sent(one, "https://a/delete/cf_clearance")
        await until(lambda: not there.read(*PAIR))
        assert await sent(other, "https://a/x") is None


async def test_who_starts_later_knows_it_at_the_first_call(store: SharedStore) -> None:
    """Also what was handed in at the very end of a process."""
    async with machines(store, 1) as (one,):
        one.write(*PAIR, {"p": "c"}, ())
        one.write(*PAIR, {"q": "d"}, ["p"])
    async with machines(store, 1) as (later,):
        assert later.read(*PAIR) == {"q": "d"}


async def test_what_two_learn_at_once_is_kept_of_both(store: SharedStore) -> None:
    async with machines(store) as (one, other):
        one.write(*PAIR, {"p": "c"}, ())
        other.write(*PAIR, {"q": "d"}, ())
        for machine in (one, other):
            assert machine.read(*PAIR), "what a machine learns it knows at once"
            await until(lambda machine=machine: machine.read(*PAIR) == {"p": "c", "q": "d"})


async def test_only_so_many_are_kept(store: SharedStore) -> None:
    """Those go first whose cookies changed longest ago."""
    async with machines(store, most=2) as (one, other):
        for user in ("ann", "bob", "ann", "eve"):
            one.write("https://a", user, {user: "c"}, ())
            await until(lambda user=user: bool(other.read("https://a", user)))
        for machine in (one, other):
            await until(lambda machine=machine: not machine.read("https://a", "bob"))
            assert [user for user in ("ann", "eve") if machine.read("https://a", user)] == ["ann", "eve"]


async def test_two_proxies_on_one_redis_are_apart(store: SharedStore) -> None:
    """What another prefix has is another proxy's."""
    async with (
        machines(store, 1) as (one,),
        machines(store.model_copy(update={"prefix": "b"}), 1) as (other,),
    ):
        one.write(*PAIR, {"p": "c"}, ())
        await until(lambda: not one._unsent)
        other.write(*PAIR, {"q": "d"}, ())
        await until(lambda: not other._unsent)
        assert (one.read(*PAIR), other.read(*PAIR)) == ({"p": "c"}, {"q": "d"})


async def test_a_redis_that_comes_late(caplog: pytest.LogCaptureFixture) -> None:
    """Each goes on with what it knows, says so once, and hands it in when Redis answers."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server isn't installed")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        store = SharedStore(url=f"unix://{folder}/redis.sock")
        one, other = RedisCookies(store, backoff=SOON), RedisCookies(store, backoff=SOON)
        jar = httpx.Cookies({"cf_clearance": "secret-of-ann"}).jar
        mine = one.jar(*PAIR, jar)
        await asyncio.gather(one.ready(), other.ready())
        mine.take()
        mine.give()
        assert one.read(*PAIR) is None
        for _ in range(2):  # it goes away and comes again, empty
            with started(program, Path(folder)):
                await until(lambda: bool(other.read(*PAIR)) and bool(one.read(*PAIR)))
                mine.take()
                assert [cookie.value for cookie in jar] == ["secret-of-ann"]
            one.write("https://a", "bob", {"p": "c"}, ())
        for machine in (one, other):
            await machine.aclose()
    said = [record.getMessage() for record in caplog.records]
    assert sum("this process goes on with those that it knows" in line for line in said) in (2, 3, 4, 5, 6)
    assert any("answers again" in line for line in said)
    assert "secret-of-ann" not in caplog.text


async def test_a_redis_that_is_not_there_keeps_nobody_waiting_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first call waits for a moment to hear of the others; a stop waits for a moment to hand in the rest."""
    from proxies import redis_cookies

    monkeypatch.setattr(redis_cookies, "_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(redis_cookies, "_LAST_SECONDS", 0.01)
    cookies = RedisCookies(SharedStore(url="redis://127.0.0.1:1/0"), backoff=SOON)
    await cookies.ready()
    await cookies.ready()
    cookies.write(*PAIR, {"p": "c"}, ())
    await cookies.aclose()
    await cookies.aclose()


def test_both_proxies_use_the_store_of_the_configuration() -> None:
    """In one process and in several; without one, what they had."""
    store = SharedStore(url="redis://127.0.0.1:1/0")
    alone = Shared()
    assert alone.through(None).cookies is None
    cookies = alone.through(store).cookies
    assert isinstance(cookies, RedisCookies)
    assert alone.through(store).cookies is cookies

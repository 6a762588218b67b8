"""What the two stores of our own owe alike: the one in a file, and the one in a Redis."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxies.config.sharing import SharedStore
from proxies.memory import embedded, shared
from proxies.memory.embedded import EmbeddedStore
from proxies.memory.shared import SharedMemories
from proxies.memory.store import Memories, Store, StoreError
from tests.redis_server import KINDS, Kind, redis_server

COUNT = itertools.count()


@pytest.fixture(params=["embedded", *KINDS])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "embedded":
        made: Store = EmbeddedStore(tmp_path / "folder" / "memory.db")
        yield made
        await made.aclose()
        return
    with redis_server(request.param) as url:
        made = SharedMemories(SharedStore(url=url))
        yield made
        await made.aclose()


async def told(store: Store, query: str, user_id: str = "ann", limit: int = 5) -> list[str]:
    return [result.text for result in (await store.search(query, user_id, limit)).results]


async def test_what_was_told_is_found(store: Store) -> None:
    """A question with a word of it, whatever its case and accents, finds a turn, the best one first."""
    await store.remember("ann", "My café is in Tromsø.", "Noted.")
    await store.remember("ann", "I like green tea.", "Good.")
    assert (await told(store, "Which CAFE?"))[
        0
    ] == "The user said: My café is in Tromsø. The answer was: Noted."
    assert (await told(store, "tea?"))[0] == "The user said: I like green tea. The answer was: Good."
    results = (await store.search("green leaves", "ann", 5)).results
    assert [result.similarity for result in results] == [0.5, 0.0]


async def test_the_latest_is_known_anyway(store: Store) -> None:
    """Where no word fits, what was told last comes, newest first."""
    for fact in ("one", "two", "three"):
        await store.remember("ann", fact, "ok")
    assert [text.split()[3] for text in await told(store, "?!", limit=2)] == ["three", "two"]


async def test_users_are_apart(store: Store) -> None:
    """Nobody finds what another user told, under any name that looks alike."""
    await store.remember("ann", "The password is swordfish.", "ok")
    for other in ("bob", "Ann", "ann ", "%", "ann' OR '1'='1", ""):
        assert await store.search("password swordfish", other, 5) == Memories()


async def test_the_same_again_replaces(store: Store) -> None:
    """Who asks the same thing twice has one turn with the newer answer, also in the index."""
    await store.remember("ann", "Where?", "In Oslo.")
    await store.remember("ann", "Where?", "In Rome.")
    assert await told(store, "oslo rome") == ["The user said: Where? The answer was: In Rome."]


async def test_it_does_not_grow_without_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's oldest turns make room, other users' stay; long texts are cut."""
    for module in (embedded, shared):
        monkeypatch.setattr(module, "MAX_TURNS", 3)
        monkeypatch.setattr(module, "MAX_TEXT", 10)
    await store.remember("bob", "his", "ok")
    for number in range(6):
        await store.remember("ann", f"fact {number}", "x" * 100)
    kept = await told(store, "fact", limit=10)
    assert sorted(text.split()[4] for text in kept) == ["3", "4", "5"]
    assert all(text.endswith(f": {'x' * 10}") for text in kept)
    assert await told(store, "fact 0", limit=10) == sorted(kept, reverse=True)
    assert len(await told(store, "his", "bob")) == 1


@pytest.mark.parametrize("store", ["embedded", "real"], indirect=True)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=40) | st.sampled_from(['"', "NEAR(", "a AND", "said:x", "* OR *", "-", "'; DROP TABLE"])
)
async def test_nothing_is_syntax(store: Store, query: str) -> None:
    """Any question is looked up as words, and any text can be told."""
    user = f"user {next(COUNT)}"
    await store.remember(user, f"needle {query}", query)
    assert len(await told(store, query, user)) == 1
    assert await told(store, f"{query} needle", "bob") == []


async def test_many_at_once(store: Store) -> None:
    """Requests that read and write at the same time get their own, and lose nothing."""

    async def one(number: int) -> None:
        user = f"user-{number % 8}"
        await store.remember(user, f"fact {number}", "ok")
        assert any(f"fact {number} " in text for text in await told(store, f"{number}", user, 50))

    await asyncio.gather(*(one(number) for number in range(80)))
    for user in range(8):
        assert len(await told(store, "fact", f"user-{user}", 50)) == 10


async def test_two_that_share_it_lose_nothing(store: Store) -> None:
    """What one learns the other finds, also where both change the same user's turns at once."""
    if isinstance(store, EmbeddedStore):
        other: Store = EmbeddedStore(store._path)
    else:
        assert isinstance(store, SharedMemories)
        other = SharedMemories(store._store)
    await asyncio.gather(*((store, other)[n % 2].remember("ann", f"fact {n}", "ok") for n in range(20)))
    for one in (store, other):
        assert len(await told(one, "fact", limit=50)) == 20
    await other.aclose()


async def test_a_closed_one_says_so(store: Store) -> None:
    await store.check()
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreError, match=r"store is closed$"):
        await store.search("x", "ann", 1)


async def test_a_redis_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """The reason is told, its password isn't."""
    store = SharedMemories(SharedStore(url="redis://ann:secret-of-the-store@127.0.0.1:1/0"))
    with pytest.raises(StoreError, match=r"^ConnectionError: .*127\.0\.0\.1:1") as caught:
        await store.check()
    assert "secret-of-the-store" not in str(caught.value)
    await store.aclose()


@pytest.mark.parametrize("kind", KINDS)
async def test_both_find_the_same(tmp_path: Path, kind: Kind) -> None:
    """Whichever of the two a proxy has, a question finds the same turns in the same order."""
    chance = random.Random(7)
    vocabulary = [f"word{number}" for number in range(30)]

    def some(number: int) -> str:
        return " ".join(chance.choice(vocabulary) for _ in range(number))

    with redis_server(kind) as url:
        stores: list[Store] = [EmbeddedStore(tmp_path / "memory.db"), SharedMemories(SharedStore(url=url))]
        for number in range(40):
            said, answered = f"{number} {some(4)}", some(8)
            for store in stores:
                await store.remember("ann", said, answered)
        for _ in range(20):
            question = some(3)
            one, other = [await store.search(question, "ann", 7) for store in stores]
            assert one == other
            assert len(one.results) == 7
        for store in stores:
            await store.aclose()

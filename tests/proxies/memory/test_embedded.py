from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxies.memory import embedded
from proxies.memory.embedded import EmbeddedStore
from proxies.memory.store import Memories, StoreError


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "folder" / "memory.db")
    yield made
    await made.aclose()


async def told(store: EmbeddedStore, query: str, user_id: str = "ann", limit: int = 5) -> list[str]:
    return [result.text for result in (await store.search(query, user_id, limit)).results]


async def test_what_was_told_is_found(store: EmbeddedStore) -> None:
    """A question with a word of it, whatever its case and accents, finds a turn, the best one first."""
    await store.remember("ann", "My café is in Tromsø.", "Noted.")
    await store.remember("ann", "I like green tea.", "Good.")
    assert (await told(store, "Which CAFE?"))[
        0
    ] == "The user said: My café is in Tromsø. The answer was: Noted."
    assert (await told(store, "tea?"))[0] == "The user said: I like green tea. The answer was: Good."
    results = (await store.search("green leaves", "ann", 5)).results
    assert [result.similarity for result in results] == [0.5, 0.0]


async def test_the_latest_is_known_anyway(store: EmbeddedStore) -> None:
    """Where no word fits, what was told last comes, newest first."""
    for fact in ("one", "two", "three"):
        await store.remember("ann", fact, "ok")
    assert [text.split()[3] for text in await told(store, "?!", limit=2)] == ["three", "two"]


async def test_users_are_apart(store: EmbeddedStore) -> None:
    """Nobody finds what another user told, under any name that looks alike."""
    await store.remember("ann", "The password is swordfish.", "ok")
    for other in ("bob", "Ann", "ann ", "%", "ann' OR '1'='1", ""):
        assert await store.search("password swordfish", other, 5) == Memories()


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    """What is in the file is found by the next process."""
    first = EmbeddedStore(tmp_path / "memory.db")
    await first.remember("ann", "I live in Oslo.", "ok")
    await first.aclose()
    second = EmbeddedStore(tmp_path / "memory.db")
    assert await told(second, "Oslo") == ["The user said: I live in Oslo. The answer was: ok"]
    await second.aclose()
    assert (tmp_path / "memory.db").stat().st_mode & 0o077 == 0


async def test_the_same_again_replaces(store: EmbeddedStore) -> None:
    """Who asks the same thing twice has one turn with the newer answer, also in the index."""
    await store.remember("ann", "Where?", "In Oslo.")
    await store.remember("ann", "Where?", "In Rome.")
    assert await told(store, "oslo rome") == ["The user said: Where? The answer was: In Rome."]


async def test_it_does_not_grow_without_end(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's oldest turns make room, other users' stay; long texts are cut."""
    monkeypatch.setattr(embedded, "MAX_TURNS", 3)
    monkeypatch.setattr(embedded, "MAX_TEXT", 10)
    await store.remember("bob", "his", "ok")
    for number in range(6):
        await store.remember("ann", f"fact {number}", "x" * 100)
    kept = await told(store, "fact", limit=10)
    assert sorted(text.split()[4] for text in kept) == ["3", "4", "5"]
    assert all(text.endswith(f": {'x' * 10}") for text in kept)
    assert await told(store, "fact 0", limit=10) == sorted(kept, reverse=True)
    assert len(await told(store, "his", "bob")) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=40) | st.sampled_from(['"', "NEAR(", "a AND", "said:x", "* OR *", "-", "'; DROP TABLE"])
)
async def test_nothing_is_syntax(tmp_path_factory: pytest.TempPathFactory, query: str) -> None:
    """Any question is looked up as words, and any text can be told."""
    store = EmbeddedStore(tmp_path_factory.mktemp("any") / "memory.db")
    try:
        await store.remember("ann", f"needle {query}", query)
        assert len(await told(store, query)) == 1
        assert await told(store, f"{query} needle", "bob") == []
    finally:
        await store.aclose()


async def test_many_at_once(store: EmbeddedStore) -> None:
    """Requests that read and write at the same time get their own, and lose nothing."""

    async def one(number: int) -> None:
        user = f"user-{number % 8}"
        await store.remember(user, f"fact {number}", "ok")
        assert any(f"fact {number} " in text for text in await told(store, f"{number}", user, 50))

    await asyncio.gather(*(one(number) for number in range(80)))
    for user in range(8):
        assert len(await told(store, "fact", f"user-{user}", 50)) == 10


async def test_two_processes_share_a_file(tmp_path: Path) -> None:
    """Stores on one new file wait for each other instead of failing."""
    for attempt in range(20):  # which of them comes in the other's way is chance
        stores = [EmbeddedStore(tmp_path / f"memory-{attempt}.db") for _ in range(4)]
        await asyncio.gather(*(stores[n % 4].remember("ann", f"fact {n}", "ok") for n in range(12)))
        assert len(await told(stores[0], "fact", limit=50)) == 12
        for store in stores:
            await store.aclose()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """What can't be read is a failure of the store, with a reason."""
    (tmp_path / "memory.db").write_text("no database, " * 100)
    store = EmbeddedStore(tmp_path / "memory.db")
    with pytest.raises(StoreError, match="DatabaseError"):
        await store.search("q", "ann", 5)
    await store.aclose()


async def test_a_closed_store(store: EmbeddedStore) -> None:
    """After closing, once or twice, a call is a failure and no crash."""
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreError, match="closed"):
        await store.search("q", "ann", 5)


async def test_a_full_disk_loses_nothing_that_was_stored(store: EmbeddedStore) -> None:
    """What doesn't fit is one failure and half of nothing; older turns are found, and there is room again later."""
    await store.remember("ann", "I live in Oslo.", "ok")
    db = store._connection
    assert db is not None
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")  # what SQLite then says is what it says of a full disk
    with pytest.raises(StoreError, match="database or disk is full"):
        await store.remember("ann", "I like tea. " * 600, "ok")
    assert await told(store, "Oslo tea") == ["The user said: I live in Oslo. The answer was: ok"]
    db.execute("PRAGMA max_page_count = 100000")
    await store.remember("ann", "I like tea.", "ok")
    assert len(await told(store, "Oslo tea")) == 2
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_clock_that_is_set_changes_no_order(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest turn is the one that was told last, whatever the clock said at the time."""
    for fact, now in (("one", 4e9), ("two", 0.0), ("three", 1.7e9)):
        monkeypatch.setattr(embedded.time, "time", lambda now=now: now)
        await store.remember("ann", fact, "ok")
    assert [text.split()[3] for text in await told(store, "?!")] == ["three", "two", "one"]

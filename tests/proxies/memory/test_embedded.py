from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxies.memory import embedded
from proxies.memory.embedded import EmbeddedStore
from proxies.memory.store import StoreError


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    made = EmbeddedStore(tmp_path / "folder" / "memory.db")
    yield made
    await made.aclose()


async def told(store: EmbeddedStore, query: str, user_id: str = "ann", limit: int = 5) -> list[str]:
    return [result.text for result in (await store.search(query, user_id, limit)).results]


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    """What is in the file is found by the next process."""
    first = EmbeddedStore(tmp_path / "memory.db")
    await first.remember("ann", "I live in Oslo.", "ok")
    await first.aclose()
    second = EmbeddedStore(tmp_path / "memory.db")
    assert await told(second, "Oslo") == ["The user said: I live in Oslo. The answer was: ok"]
    await second.aclose()
    assert (tmp_path / "memory.db").stat().st_mode & 0o077 == 0


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


async def test_others_make_no_search_longer(store: EmbeddedStore) -> None:
    """What others told, in the same words, adds next to nothing to what SQLite does for a user's question."""

    async def steps() -> int:
        db, count = store._connection, 0
        assert db is not None

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        db.set_progress_handler(step, 1)
        await store.search("Where is my green tea?", "ann", 5)
        db.set_progress_handler(None, 1)
        return count

    for number in range(10):
        await store.remember("ann", f"I like green tea {number}.", "ok")
    before = await steps()
    for number in range(200):
        await store.remember(f"user-{number % 20}", f"I like green tea {number}.", "ok")
    assert await steps() < 1.1 * before


async def test_rare_words_count_more(store: EmbeddedStore) -> None:
    """A turn with the one telling word is before many with the words that are in every turn, whatever others told."""
    await store.remember("ann", "My dog is called Rex.", "ok")
    for number in range(8):
        await store.remember("ann", f"My is is called {number}.", "ok")
        await store.remember("bob", f"Dog dog dog {number}.", "ok")
    assert "Rex" in (await told(store, "What is my dog called?"))[0]


async def test_a_file_of_the_first_version(tmp_path: Path) -> None:
    """What an older version stored, with an index of all users, is found, and leaves no word behind when it goes."""
    with contextlib.closing(sqlite3.connect(tmp_path / "memory.db")) as db, db:
        db.executescript(FIRST_VERSION)
        db.execute("INSERT INTO turns VALUES (1, 'ann', 0, 'I live in Tromsø.', 'ok')")
    store = EmbeddedStore(tmp_path / "memory.db")
    assert await told(store, "tromsø") == ["The user said: I live in Tromsø. The answer was: ok"]
    await store.remember("ann", "I live in Tromsø.", "Still?")
    assert len(await told(store, "live")) == 1
    await store.aclose()
    with contextlib.closing(sqlite3.connect(tmp_path / "memory.db")) as db:
        assert db.execute("SELECT COUNT(*) FROM words WHERE word = 'ok'").fetchone() == (0,)
        assert db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'turn%index'").fetchone() == (
            0,
        )


FIRST_VERSION = """
CREATE TABLE turns (
    id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, told REAL NOT NULL, said TEXT NOT NULL, answered TEXT NOT NULL
);
CREATE INDEX turns_by_user ON turns (user_id, id);
CREATE VIRTUAL TABLE turns_index USING fts5(said, answered, content='turns', content_rowid='id');
CREATE TRIGGER turn_added AFTER INSERT ON turns BEGIN
    INSERT INTO turns_index (rowid, said, answered) VALUES (new.id, new.said, new.answered);
END;
CREATE TRIGGER turn_removed AFTER DELETE ON turns BEGIN
    INSERT INTO turns_index (turns_index, rowid, said, answered) VALUES ('delete', old.id, old.said, old.answered);
END;
"""


async def test_a_file_that_is_mended(tmp_path: Path) -> None:
    """What was damaged at the start is used again once it is mended, in place or by another file, or deleted."""
    path = tmp_path / "memory.db"
    good = EmbeddedStore(tmp_path / "good.db")
    await good.remember("ann", "I live in Oslo.", "ok")
    await good.aclose()
    for mend in (
        lambda: path.write_bytes((tmp_path / "good.db").read_bytes()),
        lambda: shutil.copy(tmp_path / "good.db", tmp_path / "copy.db").replace(path),
    ):
        path.write_text("no database, " * 1000)
        store = EmbeddedStore(path)
        with pytest.raises(StoreError, match="not a database"):
            await store.check()
        with pytest.raises(StoreError, match="not a database"):
            await told(store, "Oslo")
        mend()
        await store.check()
        assert len(await told(store, "Oslo")) == 1
        path.unlink()
        assert await told(store, "Oslo") == []
        await store.aclose()


async def test_a_damage_that_shows_later(tmp_path: Path) -> None:
    """A check repeats the search that failed, and is good again when the file is."""
    path = tmp_path / "memory.db"
    store = EmbeddedStore(path)
    for number in range(300):
        await store.remember("ann", f"I live in Oslo {number}. {'word ' * 50}", "ok")
    await store.aclose()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    store = EmbeddedStore(path)
    with pytest.raises(StoreError, match="malformed"):
        await told(store, "Oslo")
    with pytest.raises(StoreError, match="malformed"):
        await store.check()
    path.write_bytes(whole)
    await store.check()
    assert len(await told(store, "Oslo")) == 5
    await store.aclose()


async def test_a_file_that_is_deleted_while_it_is_used(tmp_path: Path) -> None:
    """What was in it is forgotten, and what is told later is kept in a whole new file, whose rights are the owner's."""
    path = tmp_path / "memory.db"
    stores = [EmbeddedStore(path), EmbeddedStore(path)]
    for store in stores:
        await store.remember("ann", "I live in Oslo.", "ok")
    before = stores[0].version()
    path.unlink()
    assert stores[0].version() != before
    for number, store in enumerate(stores):
        assert len(await told(store, "Oslo")) == number
        await store.remember("ann", f"I live in Rome {number}.", "ok")
    for store in stores:
        assert len(await told(store, "Rome")) == 2
        await store.aclose()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT COUNT(*) FROM turns").fetchone() == (2,)
    assert path.stat().st_mode & 0o077 == 0


async def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    """A failure says why, without the place."""
    (tmp_path / "folder").write_text("a file")
    store = EmbeddedStore(tmp_path / "folder" / "memory.db")
    with pytest.raises(
        StoreError, match=r"FileExistsError: File exists$|NotADirectoryError: Not a directory$"
    ):
        await store.check()
    await store.aclose()

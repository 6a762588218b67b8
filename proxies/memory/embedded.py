"""Memories in a file of our own, in SQLite, so that no account is needed.

    turns   one row a finished turn: who, what was said, what was answered
    words   one row for each word of each turn, in the order of a look-up: user, word, turn

A search gives the turns that share words with the question, best first, filled up with the latest ones: what
was told just now is known even where the question uses other words. It reads what its user told, and nothing else, so
that it takes as long however much others told.

A file that can't be used is tried again at each call, and one that was deleted or replaced is opened anew.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from proxies.memory.store import Memories, StoreError
from proxies.memory.words import MAX_TEXT, MAX_TURNS, asked_for, rarity, result, weight, words

Value = TypeVar("Value")

_BUSY_SECONDS = 5.0
_SHAPE = 2
"""The number of the tables' form, as the file says it in `user_version`; the first had FTS5's index of all users."""
_SCHEMA = f"""
DROP TRIGGER IF EXISTS turn_added;
DROP TRIGGER IF EXISTS turn_removed;
DROP TABLE IF EXISTS turns_index;
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    told REAL NOT NULL,
    said TEXT NOT NULL,
    answered TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS turns_by_user ON turns (user_id, id);
CREATE TABLE words (
    user_id TEXT NOT NULL,
    word TEXT NOT NULL,
    turn INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (user_id, word, turn)
) WITHOUT ROWID;
PRAGMA user_version = {_SHAPE};
"""
_LATEST = "SELECT id, said, answered FROM turns WHERE user_id = ? ORDER BY id DESC LIMIT ?"
_OLDEST = "SELECT id, said, answered FROM turns WHERE user_id = ? ORDER BY id DESC LIMIT -1 OFFSET ?"
_SAME = "SELECT id, said, answered FROM turns WHERE user_id = ? AND said = ?"
FileId = tuple[int, int]


class EmbeddedStore:
    """A `Store` in the file at `path`; it and its folder are made when first needed.

    One thread owns the connection, so calls of many requests are done one after the other, in order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self._connection: sqlite3.Connection | None = None
        self._files: dict[Path, FileId | None] = {}
        """The files of the connection when it was opened."""
        self._failed: Callable[[sqlite3.Connection], object] | None = None
        """The latest search, when it failed."""

    async def search(self, query: str, user_id: str, limit: int) -> Memories:
        def work(db: sqlite3.Connection) -> Memories:
            return _search(db, query, user_id, limit)

        self._failed, found = work, await self._run(work)
        self._failed = None
        return found

    async def remember(self, user_id: str, said: str, answered: str) -> None:
        await self._run(lambda db: _remember(db, user_id, said[:MAX_TEXT], answered[:MAX_TEXT]))

    async def check(self) -> None:
        """Return when the file can be used; the latest search is repeated for it, if that failed."""
        await self._run(self._failed or (lambda db: _search(db, "", "", 1)))
        self._failed = None

    def version(self) -> FileId | None:
        """Tell which file it is, so that what was found in another one, deleted since, is known to be out of date."""
        return _file_id(self._path)

    async def aclose(self) -> None:
        """Waits for what is under way. Idempotent."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.shutdown(wait=True)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)
        except OSError as error:  # its text would name the file
            raise StoreError(f"{type(error).__name__}: {error.strerror}") from None
        except (sqlite3.Error, UnicodeError) as error:
            raise StoreError(f"{type(error).__name__}: {error}") from None
        except RuntimeError:
            raise StoreError("the embedded store is closed") from None

    def _done(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        try:
            return work(self._open())
        except sqlite3.DatabaseError as error:
            # SQLite's mere mishaps, such as a file that is locked, have classes of their own.
            if type(error) is sqlite3.DatabaseError:
                self._disconnect()  # so that a file that was mended is read anew
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._files[self._path] != _file_id(self._path):
            self._disconnect()
            self._leave_no_journal()
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # its journals get the same rights
            # Closed from another thread than this one, at the very end.
            db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                _in_wal_mode(db)
                db.execute("PRAGMA synchronous = NORMAL")
                _in_shape(db)
                self._files = {path: _file_id(path) for path in (self._path, *self._journals())}
            except BaseException:
                db.close()
                raise
            self._connection = db
        return self._connection

    def _journals(self) -> tuple[Path, ...]:
        return tuple(self._path.with_name(f"{self._path.name}-{kind}") for kind in ("wal", "shm"))

    def _leave_no_journal(self) -> None:
        """Delete the journals of the file that is gone, which SQLite would take for those of the one in its place."""
        for path in self._journals():
            if self._files[path] is not None and self._files[path] == _file_id(path):
                path.unlink(missing_ok=True)


def _file_id(path: Path) -> FileId | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_wal_mode(db: sqlite3.Connection) -> None:
    """SQLite's own waiting doesn't cover this change: of two that open a new file, one is refused at once."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _in_shape(db: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older version into today's form, in one step for all processes."""
    if db.execute("PRAGMA user_version").fetchone()[0] == _SHAPE:
        return
    db.execute("BEGIN IMMEDIATE")
    with db:
        if db.execute("PRAGMA user_version").fetchone()[0] == _SHAPE:  # another one was first
            return
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        for turn, user_id, said, answered in db.execute("SELECT id, user_id, said, answered FROM turns"):
            _index(db, user_id, turn, said, answered)


def _search(db: sqlite3.Connection, query: str, user_id: str, limit: int) -> Memories:
    asked = asked_for(query)
    turns = _matching(db, asked, user_id)[:limit]
    rows: dict[int, tuple[str, str]] = {}
    for turn in turns:
        for said, answered in db.execute("SELECT said, answered FROM turns WHERE id = ?", (turn,)):
            rows[turn] = (said, answered)
    for turn, said, answered in db.execute(_LATEST, (user_id, limit)):
        if len(rows) < limit:
            rows.setdefault(turn, (said, answered))
    return Memories(results=tuple(result(said, answered, asked) for said, answered in rows.values()))


def _matching(db: sqlite3.Connection, asked: list[str], user_id: str) -> list[int]:
    """The user's turns with any of the words, best first: rare words count more than what stands in every turn."""
    total = db.execute("SELECT COUNT(*) FROM turns WHERE user_id = ?", (user_id,)).fetchone()[0]
    scores: dict[int, float] = {}
    for word in asked:
        found = db.execute(
            "SELECT turn, times FROM words WHERE user_id = ? AND word = ?", (user_id, word)
        ).fetchall()
        rare = rarity(total, len(found))
        for turn, times in found:
            scores[turn] = scores.get(turn, 0.0) + rare * weight(times)
    return sorted(scores, key=lambda turn: (scores[turn], turn), reverse=True)


def _remember(db: sqlite3.Connection, user_id: str, said: str, answered: str) -> None:
    with db:
        _forget(db, user_id, db.execute(_SAME, (user_id, said)).fetchall())
        added = db.execute(
            "INSERT INTO turns (user_id, told, said, answered) VALUES (?, ?, ?, ?)",
            (user_id, time.time(), said, answered),
        )
        assert added.lastrowid is not None
        _index(db, user_id, added.lastrowid, said, answered)
        _forget(db, user_id, db.execute(_OLDEST, (user_id, MAX_TURNS)).fetchall())


def _index(db: sqlite3.Connection, user_id: str, turn: int, said: str, answered: str) -> None:
    times = Counter(words(f"{said} {answered}"))
    db.executemany(
        "INSERT INTO words (user_id, word, turn, times) VALUES (?, ?, ?, ?)",
        sorted((user_id, word, turn, count) for word, count in times.items()),
    )


def _forget(db: sqlite3.Connection, user_id: str, turns: list[tuple[int, str, str]]) -> None:
    """Delete turns of a user with their words."""
    for turn, said, answered in turns:
        db.executemany(
            "DELETE FROM words WHERE user_id = ? AND word = ? AND turn = ?",
            [(user_id, word, turn) for word in sorted(set(words(f"{said} {answered}")))],
        )
        db.execute("DELETE FROM turns WHERE id = ?", (turn,))

"""Memories in a file of our own: SQLite with its full-text index FTS5, so that no account is needed.

    turns        one row a finished turn: who, what was said, what was answered
    turns_index  the words of both, kept in step by triggers

A search gives the turns that share words with the question, best first, filled up with the latest ones: what
was told just now is known even where the question uses other words.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from proxies.memory.store import Memories, Result, StoreError

Value = TypeVar("Value")

MAX_TURNS = 5000
"""Turns kept of one user; the oldest go first."""
MAX_TEXT = 8000
"""Characters kept of what was said, and of what was answered."""
MAX_WORDS = 64
"""Words of a question that are looked up: the last ones, since questions stand at the end."""

_WORD = re.compile(r"\w+")
_BUSY_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    told REAL NOT NULL,
    said TEXT NOT NULL,
    answered TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS turns_by_user ON turns (user_id, id);
CREATE VIRTUAL TABLE IF NOT EXISTS turns_index USING fts5(
    said, answered, content='turns', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER IF NOT EXISTS turn_added AFTER INSERT ON turns BEGIN
    INSERT INTO turns_index (rowid, said, answered) VALUES (new.id, new.said, new.answered);
END;
CREATE TRIGGER IF NOT EXISTS turn_removed AFTER DELETE ON turns BEGIN
    INSERT INTO turns_index (turns_index, rowid, said, answered)
    VALUES ('delete', old.id, old.said, old.answered);
END;
"""
_MATCHING = """
SELECT turns.id, turns.said, turns.answered FROM turns_index JOIN turns ON turns.id = turns_index.rowid
WHERE turns_index MATCH ? AND turns.user_id = ? ORDER BY bm25(turns_index), turns.id DESC LIMIT ?
"""
_LATEST = "SELECT id, said, answered FROM turns WHERE user_id = ? ORDER BY id DESC LIMIT ?"


class EmbeddedStore:
    """A `Store` in the file at `path`; it and its folder are made when first needed.

    One thread owns the connection, so calls of many requests are done one after the other, in order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self._connection: sqlite3.Connection | None = None

    async def search(self, query: str, user_id: str, limit: int) -> Memories:
        return await self._run(lambda db: _search(db, query, user_id, limit))

    async def remember(self, user_id: str, said: str, answered: str) -> None:
        await self._run(lambda db: _remember(db, user_id, said[:MAX_TEXT], answered[:MAX_TEXT]))

    async def aclose(self) -> None:
        """Waits for what is under way. Idempotent."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], Value]) -> Value:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._open()))
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise StoreError(f"{type(error).__name__}: {error}") from None
        except RuntimeError:
            raise StoreError("the embedded store is closed") from None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)  # its journals get the same rights
            # Closed from another thread than this one, at the very end.
            db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                _in_wal_mode(db)
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._connection = db
        return self._connection


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


def _search(db: sqlite3.Connection, query: str, user_id: str, limit: int) -> Memories:
    words = list(dict.fromkeys(_words(query)))[-MAX_WORDS:]
    rows: dict[int, tuple[str, str]] = {}
    if words:
        # Each word quoted, so that nothing a user writes is syntax.
        match = " OR ".join(f'"{word}"' for word in words)
        for row, said, answered in db.execute(_MATCHING, (match, user_id, limit)):
            rows[row] = (said, answered)
    for row, said, answered in db.execute(_LATEST, (user_id, limit)):
        if len(rows) < limit:
            rows.setdefault(row, (said, answered))
    return Memories(results=tuple(_result(said, answered, words) for said, answered in rows.values()))


def _remember(db: sqlite3.Connection, user_id: str, said: str, answered: str) -> None:
    with db:
        db.execute("DELETE FROM turns WHERE user_id = ? AND said = ?", (user_id, said))
        db.execute(
            "INSERT INTO turns (user_id, told, said, answered) VALUES (?, ?, ?, ?)",
            (user_id, time.time(), said, answered),
        )
        db.execute(
            "DELETE FROM turns WHERE user_id = ? AND id <= "
            "(SELECT id FROM turns WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (user_id, user_id, MAX_TURNS),
        )


def _result(said: str, answered: str, words: list[str]) -> Result:
    """Its similarity is the share of the question's words that stand in it."""
    own = set(_words(f"{said} {answered}"))
    share = sum(word in own for word in words) / len(words) if words else 0.0
    return Result(f"The user said: {said} The answer was: {answered}", share)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]

"""Shares the cookies of users between the processes of one proxy, through a file; `redis_cookies`, between machines.

    call    another process has changed something? ── the user's rows ──> jar
    answer  with set-cookie ── what is new in the jar, and what has gone ──> rows

One row for each cookie, so that two processes that learn different ones at the same time both keep theirs. A file that
fails costs nothing but that: each process goes on with the cookies that it has seen itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from http.cookiejar import Cookie, CookieJar
from pathlib import Path
from typing import Any, Protocol

MAX_JARS = 1024
"""How many pairs of an upstream and a user are kept; those go first whose cookies changed longest ago."""

_BUSY_SECONDS = 1.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jars (
    upstream TEXT NOT NULL, user_id TEXT NOT NULL, changed REAL NOT NULL, PRIMARY KEY (upstream, user_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cookies (
    upstream TEXT NOT NULL, user_id TEXT NOT NULL, place TEXT NOT NULL, cookie TEXT NOT NULL,
    PRIMARY KEY (upstream, user_id, place)
) WITHOUT ROWID;
"""
_FIELDS = (
    "version",
    "name",
    "value",
    "port",
    "port_specified",
    "domain",
    "domain_specified",
    "domain_initial_dot",
    "path",
    "path_specified",
    "secure",
    "expires",
    "discard",
    "comment",
    "comment_url",
    "rfc2109",
)

Rows = dict[str, str]
"""A cookie as text, by its place, as text: domain, path and name."""

_log = logging.getLogger(__name__)


class Changes(Protocol):
    """Counts the changes of all processes."""

    def add(self, number: int) -> None: ...

    def total(self) -> int: ...


class Shelf(Protocol):
    """Holds the cookies of users by upstream and user, for more processes than this one."""

    async def ready(self) -> None:
        """Return when it can be read."""

    def jar(self, upstream: str, user_id: str, jar: CookieJar) -> SharedJar: ...

    def version(self) -> int: ...

    def read(self, upstream: str, user_id: str) -> Rows | None: ...

    def write(self, upstream: str, user_id: str, new: Rows, gone: Iterable[str]) -> None: ...

    async def aclose(self) -> None: ...


class CookieFile:
    """Cookies by upstream and user in a SQLite file at `path`, which only its owner can read.

    Each process opens it when it first needs it. `changes` tells whether there is anything to read.
    """

    def __init__(self, path: Path, changes: Changes, most: int = MAX_JARS) -> None:
        self._path = path
        self._changes = changes
        self._most = most
        self._db: sqlite3.Connection | None = None
        self._complained = False

    async def ready(self) -> None:
        """Return at once: it is read when there is something new."""

    def jar(self, upstream: str, user_id: str, jar: CookieJar) -> SharedJar:
        """Return what keeps `jar` in step with the file; nothing is read yet."""
        return SharedJar(self, upstream, user_id, jar)

    def version(self) -> int:
        """Return a number that differs once any process has written something."""
        return self._changes.total()

    def read(self, upstream: str, user_id: str) -> Rows | None:
        """Return the user's cookies at an upstream; None where the file can't be read."""
        with self._telling():
            found = self._opened().execute(
                "SELECT place, cookie FROM cookies WHERE upstream = ? AND user_id = ?", (upstream, user_id)
            )
            return dict(found.fetchall())
        return None

    def write(self, upstream: str, user_id: str, new: Rows, gone: Iterable[str]) -> None:
        """Put and delete cookies of a user at an upstream, in one step."""
        whose = (upstream, user_id)
        with self._telling(), self._opened() as db:
            db.execute("INSERT OR REPLACE INTO jars VALUES (?, ?, ?)", (*whose, time.time()))
            for place, cookie in new.items():
                db.execute("INSERT OR REPLACE INTO cookies VALUES (?, ?, ?, ?)", (*whose, place, cookie))
            for place in gone:
                db.execute(
                    "DELETE FROM cookies WHERE upstream = ? AND user_id = ? AND place = ?", (*whose, place)
                )
            for old in db.execute(
                "SELECT upstream, user_id FROM jars ORDER BY changed DESC LIMIT -1 OFFSET ?", (self._most,)
            ).fetchall():
                db.execute("DELETE FROM jars WHERE upstream = ? AND user_id = ?", old)
                db.execute("DELETE FROM cookies WHERE upstream = ? AND user_id = ?", old)
        self._changes.add(1)

    async def aclose(self) -> None:
        """Close this process's connection. Idempotent."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            os.close(os.open(self._path, os.O_CREAT, 0o600))  # its journals get the same rights
            db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
            try:
                db.execute("PRAGMA synchronous = OFF")  # it needn't outlive the machine
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Log a failure, the first one, and go on."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if not self._complained:
                self._complained = True
                _log.warning("cookies: each worker goes on with those that it has seen itself: %s", error)


class SharedJar:
    """Keeps a cookie jar in step with what other processes know of the same user."""

    def __init__(self, shelf: Shelf, upstream: str, user_id: str, jar: CookieJar) -> None:
        self._shelf = shelf
        self._whose = (upstream, user_id)
        self._jar = jar
        self._version: int | None = None
        self._known: Rows = {}
        """The rows as this jar last read or wrote them."""

    def take(self) -> None:
        """Bring what others have learnt since into the jar."""
        version = self._shelf.version()
        if version == self._version:
            return
        rows = self._shelf.read(*self._whose)
        if rows is None:
            return
        for place in self._known.keys() - rows.keys():
            with contextlib.suppress(KeyError):
                self._jar.clear(*json.loads(place))
        for place, text in rows.items():
            if self._known.get(place) != text:
                self._jar.set_cookie(_cookie(text))
        self._known, self._version = rows, version

    def give(self) -> None:
        """Write down what is new in the jar, or has gone from it."""
        now = {json.dumps([c.domain, c.path, c.name]): _text(c) for c in self._jar}
        new = {place: text for place, text in now.items() if self._known.get(place) != text}
        gone = self._known.keys() - now.keys()
        if new or gone:
            self._shelf.write(*self._whose, new, gone)
            self._known = now


def _text(cookie: Cookie) -> str:
    rest: dict[str, Any] = vars(cookie)["_rest"]
    return json.dumps({**{name: getattr(cookie, name) for name in _FIELDS}, "rest": rest})


def _cookie(text: str) -> Cookie:
    return Cookie(**json.loads(text))

"""Shares the cookies of users between machines, through a Redis.

    set-cookie ──> rows here ──> Redis ──publish──> rows of the other machines ──> their jars, at the next call

A call never waits for it: each process holds the rows of all, as far as it has heard of them. While Redis can't be
reached each goes on with what it knows, and hands in later what it has learnt meanwhile.

    PREFIX:cookies         sorted set: a JSON list of upstream and user, by the time of the latest change
    PREFIX:cookies:PAIR    hash: cookie by place, as `proxies.cookies` writes both
    PREFIX:cookies:changed channel: the pair that has changed
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterable
from http.cookiejar import CookieJar
from typing import Any

from proxies.config.sharing import SharedStore
from proxies.cookies import MAX_JARS, Rows, SharedJar
from proxies.support.backoff import Backoff
from proxies.support.redis_client import Redis, failures, opened, told

Pair = tuple[str, str]
"""An upstream and a user."""

_FIRST_SECONDS = 1.0
"""How long the first call waits to hear what the others know."""
_LAST_SECONDS = 1.0
"""How long a stop waits until all is handed in."""
_LISTEN_SECONDS = 5.0

_log = logging.getLogger(__name__)


class RedisCookies:
    """Cookies by upstream and user, in step with all processes that use the same Redis and prefix.

    It belongs to the event loop in which `ready` is first called.
    """

    def __init__(self, store: SharedStore, most: int = MAX_JARS, backoff: Backoff | None = None) -> None:
        self._store = store
        self._most = most
        self._backoff = backoff or Backoff(first=0.2, most=10.0)
        self._rows: dict[Pair, Rows] = {}
        self._unsent: dict[Pair, tuple[Rows, frozenset[str]]] = {}
        self._version = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._known, self._news, self._sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._taking = asyncio.Lock()
        self._waited = self._closed = False
        self._complained = False

    async def ready(self) -> None:
        """Return when it is known what others know; at the first call after a second at most, later at once."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._again(work)) for work in (self._listen, self._send)]
        if not self._waited:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_SECONDS):
                    await self._known.wait()
            self._waited = True

    def jar(self, upstream: str, user_id: str, jar: CookieJar) -> SharedJar:
        """Return what keeps `jar` in step; nothing is read yet."""
        return SharedJar(self, upstream, user_id, jar)

    def version(self) -> int:
        """Return a number that differs once anything has changed here or elsewhere."""
        return self._version

    def read(self, upstream: str, user_id: str) -> Rows | None:
        """Return the user's cookies at an upstream; None before anything was heard of the others."""
        return self._rows.get((upstream, user_id), {}) if self._known.is_set() else None

    def write(self, upstream: str, user_id: str, new: Rows, gone: Iterable[str]) -> None:
        """Put and delete cookies of a user at an upstream, here at once, elsewhere soon."""
        pair = (upstream, user_id)
        before, missing = self._unsent.get(pair, ({}, frozenset()))
        gone = frozenset(gone)
        self._unsent[pair] = (
            {place: cookie for place, cookie in {**before, **new}.items() if place not in gone},
            (missing | gone) - new.keys(),
        )
        self._put(pair, self._rows.get(pair, {}))
        self._sent.clear()
        self._news.set()

    async def aclose(self) -> None:
        """Hand in what isn't yet, within a second, and let go of Redis. Idempotent."""
        if self._tasks and self._unsent:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._sent.wait()
        self._closed = True
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Again, since the library at times takes a cancellation for the end of its own patience.
            _, pending = await asyncio.wait(pending, timeout=0.1)

    def _put(self, pair: Pair, rows: Rows) -> None:
        """Take rows for those of a pair, under what Redis hasn't got yet."""
        new, gone = self._unsent.get(pair, ({}, frozenset()))
        whole = {**{place: cookie for place, cookie in rows.items() if place not in gone}, **new}
        if whole:
            self._rows[pair] = whole
        else:
            self._rows.pop(pair, None)
        self._version += 1

    async def _again(self, work: Any) -> None:
        """Do some work with a Redis, and once more after each failure, of which the first of a row is told."""
        failed = 0
        expected: tuple[type[Exception], ...] = (*failures(), ValueError)
        while not self._closed:
            began = time.monotonic()
            client = opened(self._store.url, self._store.timeout)
            try:
                await work(client)
            except expected as error:
                if time.monotonic() - began > self._backoff.healthy:
                    failed = 0
                if not self._complained:
                    self._complained = True
                    _log.warning(
                        "cookies: this process goes on with those that it knows, and tries again: %s",
                        told(error, self._store.url),
                    )
            finally:
                await client.aclose()
            await asyncio.sleep(self._backoff.delay(failed))
            failed += 1

    async def _listen(self, client: Redis) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as changes:
            await changes.subscribe(self._key("changed"))
            await self._read_all(client)
            if self._complained:
                self._complained = False
                _log.warning("cookies: the shared store answers again")
            while not self._closed:
                message = await changes.get_message(timeout=_LISTEN_SECONDS)
                if message is not None:
                    await self._take(client, _pair(message["data"]))

    async def _take(self, client: Redis, pair: Pair) -> None:
        async with self._taking:  # so that what was read first doesn't come last
            self._put(pair, await client.hgetall(self._key(_member(pair))))

    async def _read_all(self, client: Redis) -> None:
        members = await client.zrevrange(self._key(), 0, self._most - 1)
        async with client.pipeline(transaction=False) as reading:
            for member in members:
                reading.hgetall(self._key(member))
            found = dict(zip(map(_pair, members), await reading.execute(), strict=True))
        for pair in self._rows.keys() - found.keys():
            self._put(pair, {})
        for pair, rows in found.items():
            self._put(pair, rows)
        self._known.set()

    async def _send(self, client: Redis) -> None:
        while not self._closed:
            while self._unsent:
                pair, changes = next(iter(self._unsent.items()))
                await self._send_one(client, pair, *changes)
                if self._unsent[pair] is changes:  # else there is more by now
                    del self._unsent[pair]
                    # Others may have changed it meanwhile, which stood behind what wasn't sent.
                    await self._take(client, pair)
            self._sent.set()
            self._news.clear()
            await self._news.wait()

    async def _send_one(self, client: Redis, pair: Pair, new: Rows, gone: frozenset[str]) -> None:
        member = _member(pair)
        async with client.pipeline(transaction=True) as writing:
            if new:
                writing.hset(self._key(member), mapping=new)
            if gone:
                writing.hdel(self._key(member), *gone)
            writing.zadd(self._key(), {member: time.time()})
            writing.publish(self._key("changed"), member)
            writing.zcard(self._key())
            *_, pairs = await writing.execute()
        if pairs > self._most:
            old = await client.zrange(self._key(), 0, pairs - self._most - 1)
            async with client.pipeline(transaction=True) as dropping:
                for member in old:
                    dropping.delete(self._key(member)).zrem(self._key(), member)
                    dropping.publish(self._key("changed"), member)
                await dropping.execute()

    def _key(self, *rest: str) -> str:
        return ":".join((self._store.prefix, "cookies", *rest))


def _member(pair: Pair) -> str:
    return json.dumps(pair)


def _pair(member: str) -> Pair:
    upstream, user_id = json.loads(member)
    return upstream, user_id

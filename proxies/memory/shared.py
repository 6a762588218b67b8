"""Memories in a Redis that several machines share: as those of the embedded store, found in the same way.

PREFIX:memory:turn            the number of the latest turn of all
PREFIX:memory:turns:USER      hash: what was said and answered, as JSON, by turn
PREFIX:memory:order:USER      sorted set: turns, the latest last
PREFIX:memory:said:USER       hash: turn by the digest of what was said
PREFIX:memory:word:USER WORD  sorted set: turns with the word, by how much it counts there

Turns are numbers of one length, so that their order as text is their order. Redis itself finds what fits a question: a
user's turns are never fetched all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from proxies.config.sharing import SharedStore
from proxies.memory.store import Memories, StoreError
from proxies.memory.words import MAX_TEXT, MAX_TURNS, asked_for, rarity, result, weight, words
from proxies.support.redis_client import Redis, failures, opened, told

Value = TypeVar("Value")

Turn = tuple[str, str, str]
"""Its number, what was said and what was answered."""


class SharedMemories:
    """A `Store` in a Redis, whose connections are made when first needed."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._opened: Redis | None = None
        self._closed = False

    async def search(self, query: str, user_id: str, limit: int) -> Memories:
        return await self._run(lambda redis: self._search(redis, query, user_id, limit))

    async def remember(self, user_id: str, said: str, answered: str) -> None:
        said, answered = said[:MAX_TEXT], answered[:MAX_TEXT]
        await self._run(lambda redis: self._remember(redis, user_id, said, answered))

    async def check(self) -> None:
        """Return when it answers."""
        await self._run(lambda redis: redis.ping())

    def version(self) -> None:
        """Return the same always: what was found is never out of date all at once."""

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        self._closed = True
        if self._opened is not None:
            await self._opened.aclose()

    async def _run(self, work: Callable[[Redis], Awaitable[Value]]) -> Value:
        if self._closed:
            raise StoreError("the shared store is closed")
        if self._opened is None:
            self._opened = opened(self._store.url, self._store.timeout)
        try:
            return await work(self._opened)
        except failures() as error:
            raise StoreError(told(error, self._store.url)) from None

    async def _search(self, redis: Redis, query: str, user_id: str, limit: int) -> Memories:
        asked = asked_for(query)
        async with redis.pipeline(transaction=True) as looking:
            looking.zcard(self._key("order", user_id))
            looking.zrevrange(self._key("order", user_id), 0, limit - 1)
            for word in asked:
                looking.zcard(self._word(user_id, word))
            total, latest, *turns_with = await looking.execute()
        weights = {
            self._word(user_id, word): rarity(total, turns)
            for word, turns in zip(asked, turns_with, strict=True)
            if turns
        }
        best = await self._best(redis, weights, limit) if weights and limit else []
        wanted = list(dict.fromkeys([*best, *latest]))[:limit]
        turns = await self._turns(redis, user_id, wanted)
        return Memories(results=tuple(result(said, answered, asked) for _, said, answered in turns))

    async def _best(self, redis: Redis, weights: dict[str, float], limit: int) -> list[str]:
        """The turns that these words, by their keys, make the most of."""
        scores = self._key("scores", secrets.token_hex(8))
        async with redis.pipeline(transaction=True) as scoring:
            scoring.zunionstore(scores, weights)
            scoring.zrevrange(scores, 0, limit - 1)
            scoring.delete(scores)
            _, best, _ = await scoring.execute()
        return list(best)

    async def _turns(self, redis: Redis, user_id: str, numbers: list[str]) -> list[Turn]:
        """Those that are still there."""
        if not numbers:
            return []
        rows = await redis.hmget(self._key("turns", user_id), numbers)
        return [
            (number, *json.loads(row)) for number, row in zip(numbers, rows, strict=True) if row is not None
        ]

    async def _remember(self, redis: Redis, user_id: str, said: str, answered: str) -> None:
        """Keep a turn in place of an older one that said the same, and drop the oldest, in one step for all."""
        order, turns, same = (self._key(name, user_id) for name in ("order", "turns", "said"))
        digest = _digest(said)
        number = f"{await redis.incr(self._key('turn')):012d}"

        async def change(pipe: Any) -> None:
            earlier = await pipe.hget(same, digest)
            count = await pipe.zcard(order)
            over = count + (earlier is None) - MAX_TURNS
            old = await pipe.zrange(order, 0, over - 1) if over > 0 else []
            gone = await self._turns(pipe, user_id, list(dict.fromkeys([*filter(None, [earlier]), *old])))
            pipe.multi()
            for turn in gone:
                self._forget(pipe, user_id, turn)
            pipe.hset(turns, number, json.dumps([said, answered])).zadd(order, {number: int(number)})
            pipe.hset(same, digest, number)
            for word, times in Counter(words(f"{said} {answered}")).items():
                pipe.zadd(self._word(user_id, word), {number: weight(times)})

        await redis.transaction(change, order, turns, same)

    def _forget(self, pipe: Any, user_id: str, turn: Turn) -> None:
        number, said, answered = turn
        pipe.hdel(self._key("turns", user_id), number).zrem(self._key("order", user_id), number)
        pipe.hdel(self._key("said", user_id), _digest(said))
        for word in sorted(set(words(f"{said} {answered}"))):
            pipe.zrem(self._word(user_id, word), number)

    def _word(self, user_id: str, word: str) -> str:
        # A blank can't be confused: a word has none.
        return self._key("word", f"{user_id} {word}")

    def _key(self, *rest: str) -> str:
        return ":".join((self._store.prefix, "memory", *rest))


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

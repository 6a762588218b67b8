"""Brings in what is remembered of who asks: looked up once a turn, put into the request, learnt from the answer.

    request ── who, which turn? ── asked before in this turn? ── store ── render ── inject ──> request
    answer  ── finished? ── store, in the background

A lookup that fails changes nothing but the header `x-memory` and the log.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from proxies.backend import Stream
from proxies.config.memory import ContextRetrieval
from proxies.config.models import Deployment, ProxyConfig
from proxies.config.sharing import SharedStore
from proxies.memory.embedded import EmbeddedStore
from proxies.memory.routing import Routing
from proxies.memory.shared import SharedMemories
from proxies.memory.store import Store, StoreError
from proxies.memory.strategies import Injection, Layout, Turn, find_turn, inject, is_injected, render
from proxies.memory.supermemory import Supermemory
from proxies.memory.transcript import Transcript
from proxies.sessions import MemorySessionManager
from proxies.support.redact import redact_text

Outcome = Literal["hit", "miss", "skipped", "error"]

HEADER = "x-memory"
"""From a client `off` asks for no memories; to a client it says what came of it."""

MAX_TURNS = 1024
"""Turns whose memories are held ready for the next request of a tool loop."""
TURN_SECONDS = 900.0
CHECK_SECONDS = 2.0
"""How long a check of the stores may take."""
CLOSE_SECONDS = 10.0
"""How long a shutdown waits for what is still being stored."""

_log = logging.getLogger("proxies.memory")


@dataclass(frozen=True, slots=True)
class _Found:
    injection: Injection
    version: object = None
    failed: bool = False


@dataclass(slots=True)
class _Entry:
    """A turn's lookup, done or under way. A stale one is for the rest of its tool loop alone."""

    lookup: asyncio.Task[_Found]
    used: float
    made: float
    stale: bool = False

    def serves(self, turn: Turn, now: float, version: object) -> bool:
        if not self.lookup.done():
            return True
        if not self.lookup.cancelled() and self.lookup.result().version != version:
            return False
        if turn.continued:
            return now - self.used < TURN_SECONDS
        return not self.stale and now - self.made < TURN_SECONDS


class Enriched:
    """A request's `body` with its memories in it, the `headers` for the answer, and an ear for the answer."""

    def __init__(
        self,
        body: Mapping[str, Any],
        outcome: Outcome | None = None,
        learning: tuple[Memory, ContextRetrieval, str, Turn] | None = None,
    ) -> None:
        self.body = body
        self.headers: dict[str, str] = {HEADER: outcome} if outcome else {}
        self._learning = learning

    def heard(self, answer: Mapping[str, Any]) -> None:
        """A whole answer was given."""
        if self._learning:
            transcript = Transcript()
            transcript.add_answer(answer)
            self._learn(transcript)

    def listening(self, stream: Stream) -> Stream:
        """The same stream; what it says is learnt when it has come to its end."""
        return _Overheard(stream, self._learn) if self._learning else stream

    def _learn(self, transcript: Transcript) -> None:
        if self._learning and transcript.finished and transcript.text:
            memory, settings, user_id, turn = self._learning
            memory.remember(settings, user_id, turn.said, transcript.text)


class _Overheard:
    def __init__(self, stream: Stream, learn: Callable[[Transcript], None]) -> None:
        self._stream = stream
        self._learn = learn

    @property
    def headers(self) -> Mapping[str, str]:
        return self._stream.headers

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        transcript = Transcript()
        async for chunk in self._stream:
            transcript.add_chunk(chunk)
            if transcript.closed:  # nobody reads on behind the last event
                break
            yield chunk
        self._learn(transcript)
        if transcript.closed:
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class Memory:
    """The memories of all users and models of one configuration.

    Raises `pydantic.ValidationError` for settings of a model that don't fit the section.
    """

    def __init__(self, config: ProxyConfig, sessions: MemorySessionManager | None = None) -> None:
        self._config = config
        self._settings = {
            d.model_name: config.memory_of(config.group(d.model_name)) for d in config.model_list
        }
        self._sessions = sessions or MemorySessionManager()
        self._stores: dict[ContextRetrieval | Path | SharedStore, Store] = {}
        self._turns: OrderedDict[tuple[ContextRetrieval, str, str], _Entry] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def enrich(
        self,
        headers: Mapping[str, str],
        routing: Routing,
        deployments: Iterable[Deployment],
        body: Mapping[str, Any],
        layout: Layout,
    ) -> Enriched:
        """The request with what is remembered about its user; `body` itself is left alone. Never fails."""
        model = next(iter(deployments)).model_name
        settings = self._settings[model]
        if not settings.enabled:
            return Enriched(body)
        try:
            turn = find_turn(body, settings.query_strategy)
            opted_out = headers.get(HEADER, "").strip().lower() == "off"
            if turn is None or opted_out or not settings.models.allows(model) or is_injected(body, turn):
                return Enriched(body, "skipped")
            learning = (self, settings, routing.user_id, turn) if settings.write_back and turn.said else None
            if not turn.query:
                return Enriched(body, "skipped", learning)
            found = await self._find(settings, routing.user_id, turn)
            if found.failed:
                return Enriched(body, "error", learning)
            if not found.injection:
                return Enriched(body, "miss", learning)
            made = inject(body, turn, found.injection, settings.injection_strategy, layout)
            return Enriched(made, "hit", learning)
        except Exception as bug:
            _warn(bug)
            return Enriched(body, "error")

    def remember(self, settings: ContextRetrieval, user_id: str, said: str, answered: str) -> None:
        """Store a finished turn, in the background. The user's next turn is looked up anew."""
        self._background(self._remember(settings, user_id, said, answered))

    async def failure(self) -> str:
        """Why a store can't be used, as far as that is known without asking anybody else; empty where all can."""
        for settings in dict.fromkeys(self._settings.values()):
            if not settings.enabled:
                continue
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._store(settings).check()
            except (StoreError, TimeoutError) as error:
                return str(error) or f"no answer within {CHECK_SECONDS:g} s"
        return ""

    async def warn_at_start(self) -> None:
        """Log that a store can't be used, so that nobody takes an answer without memories for one that needs none."""
        if failure := await self.failure():
            _log.warning(
                "memory: the store can't be used (%s): requests go on without memories until its file, "
                "`context_retrieval.path`, is mended or replaced; /health/readiness says so",
                redact_text(failure),
            )

    async def aclose(self) -> None:
        """Waits for what is being stored, then closes stores and sessions. Idempotent."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for store in self._stores.values():
            await store.aclose()
        self._stores.clear()
        self._turns.clear()
        await self._sessions.aclose()

    async def _find(self, settings: ContextRetrieval, user_id: str, turn: Turn) -> _Found:
        """Find what is injected in this turn: one lookup, however many requests it has."""
        key = (settings, user_id, turn.digest)
        now = time.monotonic()
        entry = self._turns.get(key)
        if entry is None or not entry.serves(turn, now, self._store(settings).version()):
            entry = _Entry(self._background(self._look_up(settings, user_id, turn.query)), now, now)
            self._turns[key] = entry
        entry.used = now
        self._turns.move_to_end(key)
        while len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)
        # Shielded: others wait for it too, and a client that goes away must not take it with it.
        found = await asyncio.shield(entry.lookup)
        if found.failed:
            entry.stale = True
        return found

    async def _look_up(self, settings: ContextRetrieval, user_id: str, query: str) -> _Found:
        store = self._store(settings)
        try:
            async with asyncio.timeout(settings.timeout):
                memories = await store.search(query, user_id, settings.max_results)
            return _Found(render(memories, settings), store.version())
        except TimeoutError:
            _warn(StoreError(f"no answer within {settings.timeout:g} s"))
        except Exception as error:
            _warn(error, settings.api_key or "")
        return _Found(Injection(), store.version(), failed=True)

    async def _remember(self, settings: ContextRetrieval, user_id: str, said: str, answered: str) -> None:
        try:
            await self._store(settings).remember(user_id, said, answered)
        except Exception as error:
            _warn(error)
        for (_, whose, _), entry in self._turns.items():
            if whose == user_id:
                entry.stale = True

    def _store(self, settings: ContextRetrieval) -> Store:
        key: ContextRetrieval | Path | SharedStore = settings
        if settings.store == "embedded":
            key = self._config.beside(str(settings.path))
        elif settings.store == "shared" and self._config.shared_store is not None:
            key = self._config.shared_store
        if key not in self._stores:
            self._stores[key] = self._made(key)
        return self._stores[key]

    def _made(self, key: ContextRetrieval | Path | SharedStore) -> Store:
        match key:
            case Path():
                return EmbeddedStore(key)
            case SharedStore():
                return SharedMemories(key)
            case _:
                return Supermemory(key, self._sessions)

    def _background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _warn(error: Exception, *secrets: str) -> None:
    what = str(error) if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
    _log.warning("memory: the request goes on without: %s", redact_text(what, *secrets))

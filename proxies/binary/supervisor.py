"""Keeps one LiteLLM process running: one that dies is started again, later and later while it keeps dying.

    start ──> running ──it ends──> waiting ──> starting ──> running
                 │ it is stuck        ↑            │ fails
                 └─────killed─────────┴────────────┘

Times are monotonic: a clock that is set has no influence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from dataclasses import dataclass, replace
from types import TracebackType

from proxies.binary.process import LiteLLMProcess, LiteLLMProcessError, with_last_lines
from proxies.config.models import ProxyConfig
from proxies.support.backoff import Backoff
from proxies.support.redact import redact_text

logger = logging.getLogger(__name__)

_LINES_TOLD = 5


@dataclass(frozen=True, slots=True)
class Watchdog:
    """When a process that runs counts as stuck: asked `every` so many seconds, it missed `misses` answers in a row.

    It has `patience` seconds for each. Busy is not stuck: the question costs it nothing, so only what blocks all of its
    requests makes it miss one.
    """

    every: float = 10.0
    patience: float = 10.0
    misses: int = 4


@dataclass(frozen=True, slots=True)
class Outage:
    """Why there is no LiteLLM process: `what` happened, and the last `lines` of a start that failed, redacted.

    There are none of a process that had been serving: they may be about requests, and anybody may see an outage.
    `retry_after` is in whole seconds, at least 1: when it may be back.
    """

    what: str
    lines: tuple[str, ...] = ()
    retry_after: int = 1

    def __str__(self) -> str:
        return with_last_lines(self.what, self.lines[-_LINES_TOLD:])


class Supervisor:
    """An async context manager around a LiteLLM process. `url` may change with a restart, `key` stays.

    The first start must succeed: `start` raises `LiteLLMProcessError`. Later ones are tried until they do.
    """

    def __init__(
        self,
        config: ProxyConfig,
        *,
        deadline: float = 60.0,
        backoff: Backoff | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._process = LiteLLMProcess(config, deadline=deadline)
        self._backoff = backoff or Backoff()
        self._watchdog = watchdog or Watchdog()
        self._keeping: asyncio.Task[None] | None = None
        self._outage: Outage | None = Outage("the LiteLLM process has not been started")
        self._usual = 1.0
        self._due = 0.0
        self.restarts = 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; ask again for every request."""
        return self._process.url

    @property
    def key(self) -> str:
        return self._process.key

    @property
    def outage(self) -> Outage | None:
        """Tell what is wrong; None while the process can be used."""
        if self._outage is not None:
            retry_after = max(1, math.ceil(self._due - time.monotonic()))
            return replace(self._outage, retry_after=retry_after)
        if not self._process.alive:  # so lately that `_keep` hasn't been told yet
            return Outage(self._process.reason, retry_after=math.ceil(self._usual))
        return None

    async def __aenter__(self) -> Supervisor:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the process is warm, and keeps it so from then on."""
        await self._start()
        self._outage = None
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ends the process, or the attempt to start it. Idempotent."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        if self._outage is None:
            self._outage = Outage("the LiteLLM process has been stopped")
        await self._process.stop()

    async def _start(self) -> None:
        begun = time.monotonic()
        await self._process.start()
        self._usual = time.monotonic() - begun

    async def _keep(self) -> None:
        failures = 0
        while True:
            up_since = time.monotonic()
            await self._ended()
            down_since = time.monotonic()
            if down_since - up_since >= self._backoff.healthy:
                failures = 0
            outage = Outage(self._process.reason)
            said = tuple(self._process.last_lines)
            while True:
                delay = self._backoff.delay(failures)
                failures += 1
                self._note(outage, said, delay, failures)
                await asyncio.sleep(delay)
                failed = await self._restart()
                if failed is None:
                    break
                outage, said = failed, failed.lines
            self._outage = None
            self.restarts += 1
            # A warning, so that whoever saw the error before sees the end of it as well.
            logger.warning("the LiteLLM process is back after %.1f s", time.monotonic() - down_since)

    async def _ended(self) -> None:
        """Waits until it has ended, and sees to it that one which is stuck does."""
        watching = asyncio.create_task(self._watch())
        try:
            await self._process.ended()
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self) -> None:
        missed, answered = 0, time.monotonic()
        while missed < self._watchdog.misses:
            await asyncio.sleep(self._watchdog.every)
            if await self._process.answers_within(self._watchdog.patience):
                missed, answered = 0, time.monotonic()
            else:
                missed += 1
        self._process.kill(f"it had not answered for {time.monotonic() - answered:.0f} s")

    async def _restart(self) -> Outage | None:
        """None, or what went wrong."""
        try:
            await self._process.stop()
            await self._start()
        except LiteLLMProcessError as error:
            return Outage(error.what, error.lines)
        except Exception as error:  # a full disk, no more processes: no reason to give up either
            return Outage(redact_text(f"the LiteLLM process can't be started: {error!r}"))
        return None

    def _note(self, outage: Outage, said: tuple[str, ...], delay: float, attempt: int) -> None:
        self._due = time.monotonic() + delay + self._usual
        self._outage = replace(outage, what=f"{outage.what}; restart {attempt} begins after {delay:.1f} s")
        last = " | ".join(line.strip() for line in said[-_LINES_TOLD:])
        logger.error(
            "%s; restart %d in %.1f s%s",
            outage.what,
            attempt,
            delay,
            f"; it said last: {last}" if last else "",
        )

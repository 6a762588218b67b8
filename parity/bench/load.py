"""Makes load on a subject, closed loop or open loop, in a process of its own.

    python -m parity.bench.load

Each line of its input is a job, each line of its output what came of it. It ends with its input. In a closed loop each
connection asks again once it is answered. In an open loop requests are due by a fixed plan, whatever the subject does,
and a latency counts from when its request was due: one that had to wait for a slow answer before it says so, too, which
a closed loop would hide (coordinated omission).
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from parity.bench.loops import runner
from parity.bench.statistics import quantile
from parity.bench.wire import Answer, Connection

DRAIN = 20.0
"""The seconds that answers may take after the end of a round."""
SHOWN = 200
TIMER = 0.001
"""The seconds by which a timer may be late; what is due sooner is looked for at each turn of the loop."""


@dataclass(frozen=True)
class Job:
    """Holds one round of load on one subject."""

    host: str
    port: int
    request: str
    """The bytes of the request, head and body, in base64."""
    status: int
    must: str
    stream: bool
    connections: int
    seconds: float
    warm_up: float
    rate: float | None = None
    """Requests that are due in a second; None: a closed loop."""
    requests: int | None = None
    """Ends a closed loop once so many were asked and answered, `seconds` at the latest; None: the clock alone does."""


@dataclass
class Seen:
    """Holds what came of a job. Times in milliseconds."""

    requests: int = 0
    """Measured: answered whole within the round; in an open loop all that were due."""
    answered: int = 0
    """Answered at all, in the warm-up and after the end, too."""
    wrong: int = 0
    reason: str = ""
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


class Load:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._request = base64.b64decode(job.request)
        self._must = job.must.encode()
        self.seen = Seen()
        self._latencies: list[float] = []
        self._firsts: list[float] = []
        self._gaps: list[float] = []
        self._chunks = 0
        self._begin = self._end = 0.0
        self._under_way = 0
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._connecting = 0
        self._open = 0
        self._planned = 0
        self._unasked = math.inf if job.requests is None else job.requests
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Seen:
        """Make the load, wait for what is under way at the end, and sum up."""
        self._begin = time.perf_counter() + self._job.warm_up
        self._end = self._begin + self._job.seconds
        loop = asyncio.get_running_loop()
        if self._job.rate is None:
            for _ in range(self._job.connections):
                if self._next():
                    self._connect()
        else:
            self._plan()
        remaining = self._end - time.perf_counter()
        loop.call_later(remaining, self._check_over)
        try:
            await asyncio.wait_for(self._over.wait(), remaining + DRAIN)
        except TimeoutError:
            self._give_up()
        for one in self._idle:
            one.close()
        return self._summed()

    def _next(self) -> bool:
        """Let the next request of a closed loop be due; return whether there is one left."""
        if self._unasked <= 0:
            return False
        self._unasked -= 1
        self._due.append(0.0)
        return True

    def _plan(self) -> None:
        """Let all requests be due whose time has come, and come back for the next one."""
        assert self._job.rate is not None
        start = self._begin - self._job.warm_up
        now = time.perf_counter()
        while (due := start + self._planned / self._job.rate) <= now:
            if due >= self._end:
                return
            self._due.append(due)
            self._planned += 1
        self._pump()
        if due < self._end:
            loop, left = asyncio.get_running_loop(), due - time.perf_counter() - TIMER
            if left > 0:
                loop.call_later(left, self._plan)
            else:
                loop.call_soon(self._plan)

    def _pump(self) -> None:
        """Give requests that are due to connections that are free."""
        while self._due and self._idle:
            one = self._idle.popleft()
            if one.transport is None:
                self._open -= 1
                continue
            self._ask(one)
        waiting = len(self._due) - self._connecting
        for _ in range(min(waiting, self._job.connections - self._open - self._connecting)):
            self._connect()

    def _ask(self, one: Connection) -> None:
        due = self._due.popleft()
        self._under_way += 1
        one.ask(due or time.perf_counter())

    def _connect(self) -> None:
        self._connecting += 1
        task = asyncio.get_running_loop().create_task(self._connected())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, one = await loop.create_connection(
                lambda: Connection(self._request, self._job.stream, self._done),
                self._job.host,
                self._job.port,
            )
        except OSError as error:
            self._connecting -= 1
            self._wrong(f"can't connect: {error.strerror or error}")
            self._over.set()
            return
        self._connecting -= 1
        self._open += 1
        if self._due:
            self._ask(one)
        else:
            self._idle.append(one)

    def _done(self, one: Connection, answer: Answer | None) -> None:
        now = time.perf_counter()
        self._under_way -= 1
        if answer is None:
            self._open -= 1
            if one.asked > 1 and "closed" in one.trouble:
                self._due.appendleft(one.due)  # a kept connection may end while it is idle: asked again
                self._connect()
            else:
                self._wrong(one.trouble)
                self._over.set()
            return
        self.seen.answered += 1
        self._judge(answer)
        self._count(one, answer, now)
        if one.transport is None:
            self._open -= 1
        else:
            self._idle.append(one)
        if self._job.rate is None and now < self._end:
            self._next()
        self._pump()
        if now >= self._end or self._unasked <= 0:
            self._check_over()

    def _judge(self, answer: Answer) -> None:
        if answer.status != self._job.status:
            text = bytes(answer.body[:SHOWN]).decode("utf-8", "replace")
            self._wrong(f"answered {answer.status}, not {self._job.status}: {text}")
        elif self._must not in answer.body and self._must not in answer.head:
            self._wrong(f"an answer has no {self._job.must!r}")

    def _wrong(self, reason: str) -> None:
        self.seen.wrong += 1
        self.seen.reason = self.seen.reason or reason

    def _count(self, one: Connection, answer: Answer, now: float) -> None:
        measured = one.due >= self._begin if self._job.rate is not None else self._begin <= now <= self._end
        if not measured:
            return
        self._latencies.append(now - one.due)
        if answer.events:
            self._firsts.append(answer.first - one.due)
            self._chunks += len(answer.events)
            self._gaps += [b - a for a, b in zip(answer.events, answer.events[1:], strict=False)]

    def _check_over(self) -> None:
        early = self._end - time.perf_counter()
        if early > 0 and self._unasked > 0:  # uvloop's timers count in whole milliseconds
            asyncio.get_running_loop().call_later(early, self._check_over)
        elif not (self._under_way or self._due or self._connecting):
            self._over.set()

    def _give_up(self) -> None:
        left = self._under_way + len(self._due)
        self._wrong(f"{left} requests weren't answered {DRAIN:g} s after the end")

    def _summed(self) -> Seen:
        seen = self.seen
        seen.requests = len(self._latencies)
        seen.seconds = self._job.seconds
        if self._job.requests is not None:
            seen.seconds = min(seen.seconds, time.perf_counter() - self._begin)
        if not seen.requests:
            return seen
        milliseconds = sorted(1000 * one for one in self._latencies)
        figures = {
            "requests_per_s": seen.requests / seen.seconds,
            "p50_ms": quantile(milliseconds, 0.5),
            "p90_ms": quantile(milliseconds, 0.9),
            "p99_ms": quantile(milliseconds, 0.99),
        }
        if self._firsts:
            figures["first_ms"] = 1000 * quantile(sorted(self._firsts), 0.5)
            figures["chunks_per_s"] = self._chunks / seen.seconds
        if self._gaps:
            gaps = sorted(self._gaps)
            figures |= {
                "gap_p50_ms": 1000 * quantile(gaps, 0.5),
                "gap_p99_ms": 1000 * quantile(gaps, 0.99),
            }
        seen.figures = figures
        return seen


async def load(job: Job) -> Seen:
    """Make the load that a job asks for."""
    return await Load(job).run()


def main() -> None:
    for line in sys.stdin:
        given: dict[str, Any] = json.loads(line)
        with runner() as running:
            seen = running.run(load(Job(**given)))
        sys.stdout.write(json.dumps(asdict(seen)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

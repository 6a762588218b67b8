"""Mixed traffic with faults, for as long as asked: no answer may be wrong, and nothing may be left behind.

    python -m tests.live.soak --minutes 10            # both arms, one after the other
    python -m tests.live.soak --arm sdk --minutes 2

Prints a Markdown table: what was asked, what came, and what the proxy's processes held before and after.
Exit code 1 when an answer was wrong or something leaked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from parity.targets.arms import ARMS, Arm
from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, looked_up_at, question, serving
from tests.live.measures import family, resident, sockets
from tests.polling import until

USERS = 50
WORKERS = 24
SETTLED_WITHIN = 30.0
_TASKS = re.compile(r"^memory_proxy_tasks(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Level:
    """What the proxy's processes hold. `memory` in MB."""

    memory: float
    tasks: int
    sockets: int


@dataclass
class Outcome:
    """What one soak saw."""

    arm: Arm
    seconds: float
    before: Level
    after: Level
    asked: Counter[str]
    wrong: list[str]
    memory: list[float] = field(repr=False)
    """MB, sampled as it went."""

    @property
    def quarters(self) -> list[float]:
        """The median of each quarter's samples: whether it still grows at the end."""
        size = max(1, len(self.memory) // 4)
        parts = [self.memory[start : start + size] for start in range(0, size * 4, size)]
        return [statistics.median(part) for part in parts if part]

    @property
    def leaks(self) -> list[str]:
        return [
            f"{what}: {before} before, {after} after"
            for what, before, after, more in (
                ("sockets", self.before.sockets, self.after.sockets, 10),
                ("tasks", self.before.tasks, self.after.tasks, 5),
                # Allocators keep pages; what leaks by the request shows as tens of MB in minutes.
                ("memory", self.before.memory, self.after.memory, 30),
            )
            if after > before + more
        ]


class Traffic:
    """Asks one thing after the other, and judges what comes."""

    def __init__(self, to: httpx.AsyncClient, far_end: FarEnd, seed: int) -> None:
        self.asked: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._to = to
        self._far_end = far_end
        self._random = random.Random(seed)
        self._number = 0
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "chat": (30, lambda: self._answered("openai")),
            "chat, streamed": (20, lambda: self._answered("openai", stream=True)),
            "chat, slow stream": (3, lambda: self._answered("openai", "slow: ", stream=True)),
            "chat, Anthropic": (10, lambda: self._answered("anthropic")),
            "messages": (10, lambda: self._answered("anthropic", path="/v1/messages")),
            "messages, streamed": (
                5,
                lambda: self._answered("openai", path="/v1/messages", stream=True),
            ),
            "models": (3, lambda: self._plain(200, "GET", "/v1/models")),
            "health": (2, lambda: self._plain(200, "GET", "/health/readiness")),
            "wrong key": (
                1,
                lambda: self._plain(401, "GET", "/v1/models", authorization="Bearer no"),
            ),
            "no JSON": (1, lambda: self._plain(400, "POST", "/v1/chat/completions", content=b"{")),
            "unknown model": (1, lambda: self._refused(404, "nobody's")),
            "provider says 429": (2, lambda: self._refused(429, "openai", "status 429: ")),
            "provider says 500": (2, lambda: self._refused(500, "anthropic", "status 500: ")),
            "provider says 503": (1, lambda: self._refused(503, "openai", "status 503: ")),
            "provider answers with a page": (1, lambda: self._refused(502, "openai", "garbage: ")),
            "provider hangs up": (1, lambda: self._refused(502, "openai", "reset: ")),
            "provider hangs up in its answer": (1, lambda: self._refused(502, "openai", "cut: ")),
            "provider hangs up in its stream": (2, self._cut),
            "client hangs up in the stream": (3, self._hang_up),
            "client hangs up early": (2, self._hang_up_early),
        }

    async def one(self) -> None:
        kinds = list(self._kinds)
        kind = self._random.choices(kinds, [self._kinds[kind][0] for kind in kinds])[0]
        self.asked[kind] += 1
        try:
            await self._kinds[kind][1]()
        except (AssertionError, httpx.HTTPError, KeyError, ValueError, TypeError) as error:
            self.wrong.append(f"{kind}: {type(error).__name__}: {error}"[:300])

    def _next(self) -> tuple[str, str]:
        self._number += 1
        return f"question {self._number}", f"user-{self._random.randrange(USERS)}"

    async def _ask(self, model: str, text: str, user: str, path: str, stream: bool) -> httpx.Response:
        body = question(model, text, stream=stream)
        return await self._to.post(path, json=body, headers={"x-memory-user-id": user})

    async def _answered(
        self,
        model: str,
        order: str = "",
        *,
        path: str = "/v1/chat/completions",
        stream: bool = False,
    ) -> None:
        text, user = self._next()
        answer = await self._ask(model, order + text, user, path, stream)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        asked, by, _, memories = json.loads(_text(answer, path, stream))
        assert (asked, by) == (order + text, user)
        outcome = answer.headers["x-memory"]
        assert (outcome, memories) in (("hit", [user]), ("error", [])), f"{outcome}: {memories} for {user}"

    async def _refused(self, status: int, model: str, order: str = "") -> None:
        text, user = self._next()
        answer = await self._ask(model, order + text, user, "/v1/chat/completions", False)
        _is_error(answer, status)

    async def _plain(self, status: int, method: str, path: str, content: bytes = b"", **headers: str) -> None:
        answer = await self._to.request(method, path, content=content, headers=headers)
        if status == 200:
            assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        else:
            _is_error(answer, status)

    async def _cut(self) -> None:
        text, user = self._next()
        answer = await self._ask("openai", f"cut: {text}", user, "/v1/chat/completions", True)
        if answer.status_code != 200:  # cut before anything of it was on its way to the client
            _is_error(answer, 502)
            return
        *_, error, end = re.findall(r"^data: (.*)$", answer.text, re.MULTILINE)
        assert end == "[DONE]", answer.text
        assert json.loads(error)["error"]["code"] == "bad_gateway", answer.text

    async def _hang_up(self) -> None:
        text, user = self._next()
        body = question("stuck", text, stream=True)
        async with self._to.stream(
            "POST", "/v1/chat/completions", json=body, headers={"x-memory-user-id": user}
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    break
        await until(lambda: text in self._far_end.gone, 10)

    async def _hang_up_early(self) -> None:
        text, user = self._next()
        asking = asyncio.create_task(self._ask("stuck", text, user, "/v1/chat/completions", False))
        await until(lambda: text in self._far_end.waiting, 10)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: text in self._far_end.gone, 10)


def _text(answer: httpx.Response, path: str, stream: bool) -> str:
    if not stream:
        body = answer.json()
        text: str = (
            body["content"][0]["text"] if path == "/v1/messages" else body["choices"][0]["message"]["content"]
        )
        return text
    events = [json.loads(event) for event in re.findall(r"^data: (\{.*)$", answer.text, re.MULTILINE)]
    if path == "/v1/messages":
        assert events[-1]["type"] == "message_stop", answer.text
        return "".join(
            event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"
        )
    assert answer.text.endswith("data: [DONE]\n\n"), answer.text
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


def _is_error(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, f"{answer.status_code}, not {status}: {answer.text}"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}, error


async def soak(
    arm: Arm, seconds: float, *, warm_up: float = 15.0, progress: Callable[[str], None] = print
) -> Outcome:
    """`seconds` of traffic on a proxy process of its own, after `warm_up` seconds of the same that don't count."""
    async with AsyncExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        far_end = await closing.enter_async_context(FarEnd(forgetful=True))
        document = config(far_end, context_retrieval=looked_up_at(far_end))
        process, url = await closing.enter_async_context(serving(arm, folder, document))

        async def level() -> Level:
            async with client(url) as to:
                found = _TASKS.search((await to.get("/metrics")).text)
            assert found is not None, "no memory_proxy_tasks in /metrics"
            pids = family(process.pid)
            return Level(resident(pids), int(float(found[1])), sockets(pids))

        async def settled() -> Level:
            """As soon as it stays the same for two seconds."""
            last, since = await level(), time.monotonic()
            end = since + SETTLED_WITHIN
            while time.monotonic() < min(end, since + 2):
                await asyncio.sleep(0.25)
                now = await level()
                if far_end.waiting or (now.tasks, now.sockets) != (last.tasks, last.sockets):
                    last, since = now, time.monotonic()
            return last

        async def traffic(last: float, seed: int, memory: list[float]) -> Traffic:
            async with client(url) as to:
                asking = Traffic(to, far_end, seed)
                end = time.monotonic() + last

                async def worker() -> None:
                    while time.monotonic() < end:
                        await asking.one()

                async def sampler() -> None:
                    while (left := end - time.monotonic()) > 0:
                        await asyncio.sleep(min(left, 5.0))
                        memory.append(resident(family(process.pid)))
                        done, wrong = asking.asked.total(), len(asking.wrong)
                        progress(
                            f"{arm}: {done} requests, {wrong} wrong, {memory[-1]:.0f} MB, {max(left, 0):.0f} s left"
                        )

                async with asyncio.TaskGroup() as group:
                    group.create_task(sampler())
                    for _ in range(WORKERS):
                        group.create_task(worker())
            far_end.gone.clear()
            return asking

        if warm_up:
            await traffic(warm_up, 0, [])
        before = await settled()
        memory: list[float] = []
        asking = await traffic(seconds, 1, memory)
        return Outcome(arm, seconds, before, await settled(), asking.asked, asking.wrong, memory)


def table(outcomes: list[Outcome]) -> str:
    """Markdown."""
    kinds = list(dict.fromkeys(kind for outcome in outcomes for kind in sorted(outcome.asked)))
    rows = [
        ("", *(outcome.arm for outcome in outcomes)),
        ("---", *("---:" for _ in outcomes)),
        ("seconds", *(f"{outcome.seconds:.0f}" for outcome in outcomes)),
        ("requests", *(f"{outcome.asked.total():,}" for outcome in outcomes)),
        *((f"· {kind}", *(f"{outcome.asked[kind]:,}" for outcome in outcomes)) for kind in kinds),
        ("wrong answers", *(str(len(outcome.wrong)) for outcome in outcomes)),
        ("memory before → after, MB", *(f"{o.before.memory:.0f} → {o.after.memory:.0f}" for o in outcomes)),
        (
            "memory in each quarter, median, MB",
            *(" ".join(f"{mb:.0f}" for mb in o.quarters) for o in outcomes),
        ),
        ("tasks before → after", *(f"{o.before.tasks} → {o.after.tasks}" for o in outcomes)),
        ("sockets before → after", *(f"{o.before.sockets} → {o.after.sockets}" for o in outcomes)),
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arm", action="append", choices=ARMS, help="this one only (repeatable)")
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="of counted traffic for each arm (default 10)"
    )
    asked = parser.parse_args()

    def progress(line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    outcomes = [asyncio.run(soak(arm, asked.minutes * 60, progress=progress)) for arm in asked.arm or ARMS]
    print(table(outcomes))
    failed = False
    for outcome in outcomes:
        for line in (*outcome.leaks, *outcome.wrong[:20]):
            failed = True
            print(f"{outcome.arm}: {line}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

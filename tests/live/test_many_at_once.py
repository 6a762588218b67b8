"""Many users at once: nothing crosses over, and nothing is left behind by those who hang up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from parity.targets.arms import Arm
from parity.targets.stack import ProxyProcess
from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, looked_up_at, question, serving
from tests.live.measures import AVAILABLE, family, resident, sockets
from tests.polling import until

USERS = 200
REQUESTS = 4000
IN_FLIGHT = 64
MID_STREAM = 200
BEFORE_THE_FIRST_BYTE = 50
CANCELLED_WITHIN = 5.0
SETTLED_WITHIN = 20.0


pytestmark = pytest.mark.load


@pytest.fixture
async def proxy(arm: Arm, far_end: FarEnd, tmp_path: Path) -> AsyncIterator[tuple[ProxyProcess, str]]:
    """A proxy process whose deployments are at the far end.

    `openai` has a fact of each user from the store there, `anthropic` what the user asked earlier from a file.
    """

    own = {"store": "embedded", "path": str(tmp_path / "memory.db"), "write_back": True}
    infos = {"anthropic": {"context_retrieval": own}}
    document = config(far_end, infos, context_retrieval=looked_up_at(far_end))
    async with serving(arm, tmp_path, document) as running:
        yield running


async def test_nothing_crosses_over(far_end: FarEnd, proxy: tuple[ProxyProcess, str], arm: Arm) -> None:
    """Of 4,000 interleaved requests each has its own answer, user id, memories and cookie."""
    crossed: list[tuple[str, str, str]] = []
    cookies = {"openai": 0, "anthropic": 0}
    remembered = {"openai": 0, "anthropic": 0}

    def user_of(number: int) -> str:
        return f"user-{number * 7 % USERS}"

    async def ask(number: int, to: httpx.AsyncClient) -> None:
        user = user_of(number)
        model = "anthropic" if number % 4 == 3 else "openai"
        stream = number % 4 == 1
        answer = await to.post(
            "/v1/chat/completions",
            json=question(model, f"question {number}", stream=stream),
            headers={"x-memory-user-id": user},
        )
        assert answer.status_code == 200, answer.text
        if stream:
            events = re.findall(r"^data: (\{.*)$", answer.text, re.MULTILINE)
            deltas = (json.loads(event)["choices"][0]["delta"].get("content") for event in events)
            text = "".join(delta or "" for delta in deltas)
        else:
            text = answer.json()["choices"][0]["message"]["content"]
        asked, by, cookie, memories = json.loads(text)
        assert (asked, by) == (f"question {number}", user)
        if model == "openai":
            assert memories == [user]
        else:
            assert {user_of(int(said)) for said in memories} <= {user}
        remembered[model] += bool(memories)
        cookies[model] += bool(cookie)
        if cookie not in ("", f"who={user}"):
            crossed.append((model, user, cookie))

    numbers = iter(range(REQUESTS))

    async def worker(to: httpx.AsyncClient) -> None:
        for number in numbers:
            await ask(number, to)

    began = time.monotonic()
    async with client(proxy[1]) as to, asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker(to))
    took = time.monotonic() - began
    print(f"\n{arm}: {REQUESTS} requests in {took:.1f} s; with memories: {remembered}", end="; ")
    print(f"with a cookie: {cookies}; crossed: {len(crossed)}")
    assert far_end.calls == REQUESTS
    assert remembered["anthropic"] > REQUESTS / 8
    if arm == "sdk":
        assert crossed == []
        assert cookies["openai"] > REQUESTS / 2
        assert cookies["anthropic"] > REQUESTS / 8
    else:  # as the ledger has it: one jar for all users of an OpenAI deployment, none for Anthropic's
        assert {model for model, _, _ in crossed} == {"openai"}
        assert cookies["anthropic"] == 0


async def hang_up_all(far_end: FarEnd, url: str, streams: int, plain: int, tag: str) -> list[float]:
    """Seconds from each hang-up until the far end knew of it."""
    left: dict[str, float] = {}

    async def mid_stream(text: str, to: httpx.AsyncClient) -> None:
        body = question("stuck", text, stream=True)
        async with to.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    break
            left[text] = time.monotonic()

    async def early(text: str, to: httpx.AsyncClient) -> None:
        asking = asyncio.create_task(
            to.post("/v1/chat/completions", json=question("stuck", text, stream=False))
        )
        await until(lambda: text in far_end.waiting, 30)
        left[text] = time.monotonic()
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking

    async with client(url) as to, asyncio.TaskGroup() as group:
        for number in range(streams):
            group.create_task(mid_stream(f"{tag} stream {number}", to))
        for number in range(plain):
            group.create_task(early(f"{tag} plain {number}", to))
    await until(lambda: set(left) <= set(far_end.gone), CANCELLED_WITHIN + 1)
    return [far_end.gone[text] - left[text] for text in left]


@pytest.mark.skipif(not AVAILABLE, reason="reads /proc")
async def test_who_hangs_up_leaves_nothing(
    far_end: FarEnd, proxy: tuple[ProxyProcess, str], arm: Arm
) -> None:
    """Every provider call of a client that hung up is cancelled; tasks, sockets and memory are given back."""
    process, url = proxy
    gauges = [f"memory_proxy_{name}" for name in ("tasks", "requests_in_flight", "open_streams")]

    async def settled(to: httpx.AsyncClient, most: float) -> float:
        """The number of tasks, as soon as nothing is under way and there are no more of them than `most`."""
        end = time.monotonic() + SETTLED_WITHIN
        while True:
            said = dict(re.findall(r"^(\w+) (\S+)$", (await to.get("/metrics")).text, re.MULTILINE))
            tasks, *under_way = (float(said[name]) for name in gauges)
            if tasks <= most and not any(under_way):
                return tasks
            assert time.monotonic() < end, f"{gauges} are {tasks:g}, {under_way}; at most {most:g}, 0, 0"
            await asyncio.sleep(0.05)

    async with client(url) as to:
        at_start = await settled(to, float("inf"))
        await hang_up_all(far_end, url, MID_STREAM, BEFORE_THE_FIRST_BYTE, "warm-up")
        await settled(to, at_start)
        pids = family(process.pid)
        before, memory = sockets(pids), resident(pids)
        took = await hang_up_all(far_end, url, MID_STREAM, BEFORE_THE_FIRST_BYTE, "counted")
        print(
            f"\n{arm}: {len(took)} hang-ups, cancelled after {statistics.median(took) * 1000:.0f} ms (median), "
            f"{max(took) * 1000:.0f} ms (longest)"
        )
        assert len(took) == MID_STREAM + BEFORE_THE_FIRST_BYTE
        assert max(took) < CANCELLED_WITHIN
        at_end = await settled(to, at_start)
    await until(lambda: sockets(pids) <= before + 10, SETTLED_WITHIN)
    grown = resident(pids) - memory
    print(f"{arm}: tasks {at_start:g} at the start, {at_end:g} at the end")
    print(f"{arm}: sockets {before} before, {sockets(pids)} after; memory {grown:+.1f} MB of {memory:.0f}")
    assert far_end.waiting == set()
    assert grown < 30

"""Several workers with a real LiteLLM in each: what a user earns in one of them serves in the others."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx

from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, question, serving
from tests.processes import gone

ANN = {"x-memory-user-id": "ann"}
BOB = {"x-memory-user-id": "bob"}


async def test_a_cookie_earned_in_one_worker_serves_its_user_in_all(far_end: FarEnd, tmp_path: Path) -> None:
    """The provider's challenge is solved once; a worker in the place of one that died knows the cookie, too."""
    async with serving("sdk", tmp_path, config(far_end), "--workers", "2") as (process, url):
        assert await cookie_of(url, ANN) == ""
        await until_asked_by_both(url, ANN)
        metrics = await read(url)
        assert metrics["memory_proxy_workers"] == 2
        killed = a_worker(url, process.pid)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(60):
            while not gone(killed):
                await asyncio.sleep(0.01)
            while (await read(url))["memory_proxy_workers"] != 1:
                await asyncio.sleep(0.05)
            assert await cookie_of(url, ANN) == "who=ann"
            while (await read(url))["memory_proxy_workers"] != 2:
                await asyncio.sleep(0.05)
        await until_asked_by_both(url, ANN)
        assert await cookie_of(url, BOB) == ""


async def until_asked_by_both(url: str, user: dict[str, str]) -> None:
    """Ask until both workers have a client for the user; each time the provider must get the cookie."""
    async with asyncio.timeout(60):
        while (await read(url))["memory_proxy_sessions"] < 2:
            assert await cookie_of(url, user) == f"who={user['x-memory-user-id']}"


async def cookie_of(url: str, user: dict[str, str]) -> str:
    """Ask on a connection of its own; return the cookie that came to the provider."""
    async with client(url) as asking:
        answer = await asking.post(
            "/v1/chat/completions", json=question("openai", "question 1"), headers=user
        )
    assert answer.status_code == 200, answer.text
    told: list[Any] = json.loads(answer.json()["choices"][0]["message"]["content"])
    return str(told[2])


def a_worker(url: str, parent: int) -> int:
    """Return the process id of a worker: of those that own the address, not the one that was started."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "0A"}
    owners = {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if inodes & _files(pid)}
    return (owners - {parent}).pop()


def _files(pid: int) -> set[str]:
    try:
        return {os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return set()


async def read(url: str) -> dict[str, float]:
    """The metrics without labels."""
    async with httpx.AsyncClient(trust_env=False) as asking:
        text = (await asking.get(f"{url}/metrics")).text
    return {name: float(value) for name, value in re.findall(r"(?m)^(\w+) (\S+)$", text)}

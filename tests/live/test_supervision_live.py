"""`memory-proxy start` as operators know it: it survives its LiteLLM process, and nothing survives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from parity.targets.stack import START_DEADLINE
from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, question, written
from tests.live.measures import AVAILABLE, family
from tests.polling import until
from tests.processes import gone

WORKERS = 16
GONE_WITHIN = 20.0
BACK_WITHIN = 90.0
_RESTARTING = "The LiteLLM process is being restarted."
_LOST = "The LiteLLM process could not be reached."

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="finds processes in /proc")


@dataclass
class Started:
    """A running `memory-proxy start`; `urls` by name, once all answer."""

    process: asyncio.subprocess.Process
    urls: dict[str, str] = field(default_factory=dict)

    async def read_urls(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(START_DEADLINE):
            while "interceptor" not in self.urls:
                line = (await self.process.stdout.readline()).decode()
                assert line, "it ended without a word"
                name, url, *_ = line.split()
                self.urls[name] = url

    @property
    def litellm(self) -> int | None:
        """The process id of its child."""
        children = family(self.process.pid)[1:]
        return children[0] if children else None

    async def end(self) -> tuple[int | None, str]:
        """Its exit code, and what it wrote to stderr."""
        async with asyncio.timeout(GONE_WITHIN):
            _, err = await self.process.communicate()
        return self.process.returncode, err.decode()


@pytest.fixture
async def started(far_end: FarEnd, tmp_path: Path) -> AsyncIterator[Started]:
    """Just begun, in the middle of its start; with an interceptor for a project."""
    project = tmp_path / "shop"
    project.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxies", "start", "--port", "0"),
        *("--config", str(written(tmp_path, config(far_end)))),
        *("--interceptor", str(project), "--grace", "10"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "INTERCEPTOR_PORT": str(port), "PORT_REGISTRY_PATH": str(tmp_path / "ports.json")},
    )
    running = Started(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def verdict(answer: httpx.Response) -> str:
    """`ok`, or how a failure was told: its status and message, for a stream after its first event `stream`."""
    if answer.status_code != 200:
        error = answer.json()["error"]
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            assert error["type"] == "overloaded_error"
        return f"{answer.status_code} {error['message']}"
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return "ok"
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    errors = [json.loads(event)["error"] for event in events[:-1] if '"error"' in event]
    assert len(errors) <= 1
    return f"stream {errors[0]['message']}" if errors else "ok"


@pytest.mark.load
async def test_a_litellm_killed_under_load_costs_clear_answers_only(
    started: Started, far_end: FarEnd
) -> None:
    """While 16 workers ask, it is killed: each failure is a clear 502 or 503, and then all is as before."""
    await started.read_urls()
    before, after = Counter[str](), Counter[str]()
    readiness: list[httpx.Response] = []
    killed = back = False
    first_pid = started.litellm
    assert first_pid is not None

    async def work(number: int) -> None:
        async with client(started.urls["interceptor" if number % 4 == 3 else "proxy"]) as asking:
            n = number
            while not back or after["ok"] < 200:
                n += WORKERS
                if n % 3 == 0:
                    answer = await asking.post("/v1/messages", json=question("anthropic", f"question {n}"))
                else:
                    text = f"slow: {n}" if n % 3 == 1 else f"question {n}"
                    asked = question("openai", text, stream=n % 3 == 1)
                    answer = await asking.post("/v1/chat/completions", json=asked)
                (after if killed else before)[verdict(answer)] += 1
                if answer.status_code != 200:
                    await asyncio.sleep(0.1)

    async with (
        asyncio.timeout(BACK_WITHIN),
        asyncio.TaskGroup() as working,
        client(started.urls["proxy"]) as watching,
    ):
        for number in range(WORKERS):
            working.create_task(work(number))
        await until(lambda: before["ok"] >= 100, 60)
        killed = True
        os.kill(first_pid, signal.SIGKILL)
        while not (readiness and readiness[-1].status_code == 200 and readiness[0].status_code == 503):
            answer = await watching.get("/health/readiness")
            if answer.status_code == 503 or readiness:
                readiness.append(answer)
            await asyncio.sleep(0.05)
        back = True
        metrics = (await watching.get("/metrics")).text

    assert set(before) == {"ok"}
    assert "memory_proxy_litellm_restarts 1.0" in metrics.splitlines()
    told = {verdict.partition(" ")[0] for verdict in after}
    assert told <= {"ok", "502", "503", "stream"}, after
    assert {"ok", "503"} <= told
    assert {message for message in after if message != "ok"} <= {
        f"503 {_RESTARTING}",
        f"502 {_LOST}",
        f"stream {_LOST}",
        f"stream {_RESTARTING}",
        "stream The provider could not be reached, or closed the connection before its answer was complete.",
    }, after
    reasons = [answer.json()["error"]["message"] for answer in readiness if answer.status_code == 503]
    assert any(
        "the LiteLLM process was ended by SIGKILL; restart 1 begins after" in reason for reason in reasons
    )
    assert started.process.returncode is None
    assert started.litellm not in (first_pid, None)
    started.process.send_signal(signal.SIGTERM)
    code, err = await started.end()
    assert code == 0
    lines = [line for line in err.splitlines() if "proxies.binary.supervisor" in line]
    assert len(lines) == 2, err
    assert "ERROR" in lines[0]
    assert "restart 1 in" in lines[0]
    assert "the LiteLLM process is back after" in lines[1]
    assert "Traceback" not in err


async def test_sigterm_lets_streams_end_and_leaves_nothing(started: Started) -> None:
    """A stream through the interceptor is whole, exit code 0, both processes and the private files are gone."""
    await started.read_urls()
    pids = family(started.process.pid)
    copy = Path(command_line(pids[1]).partition("--config ")[2].split()[0])
    assert copy.exists()
    async with (
        client(started.urls["interceptor"]) as asking,
        asking.stream(
            "POST", "/v1/chat/completions", json=question("openai", "slow: 1", stream=True)
        ) as answer,
    ):
        lines = answer.aiter_lines()
        await anext(lines)
        started.process.send_signal(signal.SIGTERM)
        rest = [line async for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert not any('"error"' in line for line in rest)
    code, err = await started.end()
    assert (code, err) == (0, "")
    await until(lambda: all(map(gone, pids)), GONE_WITHIN)
    assert not copy.parent.exists()


@pytest.mark.parametrize("early", [True, False])
async def test_kill_leaves_no_orphan(started: Started, early: bool) -> None:
    """Killed outright, in the middle of its start or later, it takes the LiteLLM process with it."""
    if not early:
        await started.read_urls()
    await until(lambda: started.litellm is not None, START_DEADLINE)
    pids = family(started.process.pid)
    started.process.kill()
    await started.process.communicate()
    await until(lambda: all(map(gone, pids)), GONE_WITHIN)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")

"""What goes wrong below HTTP: a process that dies in the middle of an answer, readers who don't read, idle crowds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import pytest

from parity.targets.arms import Arm
from tests.live.far_end import FarEnd
from tests.live.in_front import KEY, client, config, question, serving
from tests.live.measures import AVAILABLE, family, resident
from tests.polling import until

CROWD = 2_000
MOST_CONNECTIONS = 1_500
HEADER_TIMEOUT = 6.0
UNREAD = 32e6
"""Bytes that may be under way to a reader who doesn't read: what the kernel's socket buffers hold at each step."""

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="measures by /proc")


async def test_litellm_killed_in_the_middle_of_answers(far_end: FarEnd, tmp_path: Path) -> None:
    """Each stream gets one error event in its dialect and then its end, each plain request a 502."""
    async with serving("binary", tmp_path, config(far_end)) as (process, url), client(url) as asking:
        heard: dict[str, list[str]] = {}

        async def listen(path: str, number: int) -> None:
            lines = heard[path] = []
            async with asking.stream(
                "POST", path, json=question("stuck", f"question {number}", stream=True)
            ) as answer:
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    lines.append(line)

        async def ask() -> httpx.Response:
            return await asking.post("/v1/chat/completions", json=question("stuck", "question 3"))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen("/v1/chat/completions", 1))
            tasks.create_task(listen("/v1/messages", 2))
            plain = tasks.create_task(ask())
            await until(lambda: len(far_end.waiting) == 3, 60)
            await until(lambda: all(any("data: {" in x for x in lines) for lines in heard.values()), 60)
            [_, litellm, *_] = family(process.pid)
            os.kill(litellm, signal.SIGKILL)
        lost = "The LiteLLM process could not be reached."
        assert (plain.result().status_code, plain.result().json()["error"]["message"]) == (502, lost)
        events = [line[6:] for line in heard["/v1/chat/completions"] if line.startswith("data: ")]
        assert events[-1] == "[DONE]"
        assert [json.loads(event)["error"]["message"] for event in events[:-1] if '"error"' in event] == [
            lost
        ]
        assert '"error"' in events[-2]
        names = [line for line in heard["/v1/messages"] if line.startswith("event: ")]
        assert names.count("event: error") == 1
        assert names[-1] == "event: error"
        assert "event: message_stop" not in names


@pytest.mark.load
async def test_a_reader_who_does_not_read_is_not_read_for(arm: Arm, far_end: FarEnd, tmp_path: Path) -> None:
    """The provider's endless stream comes to a halt, and nothing grows, until the reader reads again or leaves."""
    async with serving(arm, tmp_path, config(far_end)) as (process, url):
        async with client(url) as asking:
            await asking.post("/v1/chat/completions", json=question("openai", "warm up", stream=True))
        body = json.dumps(question("openai", "flood: on and on", stream=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        try:
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await stands_still(lambda: far_end.poured)
            unread, held = far_end.poured, resident(family(process.pid))
            await asyncio.sleep(1.0)
            grown = resident(family(process.pid)) - held
            print(f"{arm}: {unread / 1e6:.1f} MB under way, {grown:.1f} MB grown in a second")
            assert unread < UNREAD
            assert grown < 5
            while far_end.poured <= unread + 1e6:
                assert await reader.read(65536)
        finally:
            await leave([writer])
        await stands_still(lambda: far_end.poured)
        async with client(url) as asking:
            answer = await asking.post(
                "/v1/chat/completions", json=question("openai", "question 1", stream=True)
            )
            assert "[DONE]" in answer.text


async def stands_still(count: Callable[[], int]) -> None:
    """Returns once it has not changed for a second."""
    since, seen = time.monotonic(), count()
    async with asyncio.timeout(60):
        while time.monotonic() < since + 1.0:
            await asyncio.sleep(0.05)
            if count() != seen:
                since, seen = time.monotonic(), count()


@pytest.mark.load
async def test_a_crowd_of_idle_connections_is_borne(
    far_end: FarEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those idle longest give way to newcomers; who showed the key is served, nothing spins, all lose their place."""
    limits = {"max_connections": MOST_CONNECTIONS, "header_timeout": HEADER_TIMEOUT}
    monkeypatch.setenv("MEMORY_PROXY_LITELLM_URL", "http://127.0.0.1:1")
    crowd: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with serving("binary", tmp_path, config(far_end, limits=limits)) as (process, url):
        before = resident([process.pid])
        port = int(url.rpartition(":")[2])
        async with client(url) as friend:
            assert (await friend.get("/v1/models")).status_code == 200
            try:
                for _ in range(CROWD):
                    crowd.append(await asyncio.open_connection("127.0.0.1", port))
                for first, _ in crowd[: CROWD - MOST_CONNECTIONS]:
                    assert await asyncio.wait_for(first.read(4096), 10) == b""
                assert not any(reader.at_eof() for reader, _ in crowd[CROWD - MOST_CONNECTIONS + 1 :])
                assert (await friend.get("/health")).status_code == 200
                grown = resident([process.pid]) - before
                spent = cpu_seconds(process.pid)
                await asyncio.sleep(1.0)
                spent = cpu_seconds(process.pid) - spent
                print(f"{len(crowd)} idle: {grown:.0f} MB grown, {spent:.2f} s of CPU in a second")
                assert spent < 0.5
                assert grown < 200
                await until_welcome(url)
                assert (await friend.get("/health")).status_code == 200
            finally:
                await leave(writer for _, writer in crowd)


async def leave(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until_welcome(url: str) -> None:
    """Returns once somebody new is served."""
    async with asyncio.timeout(HEADER_TIMEOUT + 30):
        while True:
            async with client(url) as new:
                with contextlib.suppress(httpx.TransportError):
                    if (await new.get("/health")).status_code == 200:
                        return
            await asyncio.sleep(0.2)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

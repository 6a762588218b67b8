"""Puts pressure on both proxies as real processes: a provider that answers or floods, and a watch on `/health`.

attack ──> memory-proxy ──> (LiteLLM) ──> provider
watch  ──> memory-proxy /health, again and again, each time taken
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from parity.targets.arms import ARMS
from parity.targets.stack import START_DEADLINE, ProxyProcess
from tests import samples
from tests.attacks.far_end import Trap, environment

COMPLAIN = "Complain at length."
"""A question that the provider refuses in 900 kB."""
KEY = "sk-of-the-attacks-0123456789abcdef"


@dataclass
class Flood:
    """One streamed call at the provider: what it sent, and when its connection was closed by the other side."""

    began: float
    sent: int = 0
    progressed: float = 0.0
    """When something was last sent."""
    ended: float | None = None

    def waits_for(self, seconds: float) -> bool:
        """Whether what was sent last has been waiting so long to be taken."""
        return self.ended is None and self.sent > 0 and time.monotonic() - self.progressed > seconds


class Provider:
    """Answers a plain call at once; a streamed one with chunks as fast as they are taken, for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.floods: list[Flood] = []

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        up = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._run(up)), daemon=True)
        thread.start()
        up.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)

    async def _run(self, up: threading.Event) -> None:
        """What is still being answered at the end is cancelled by `asyncio.run`."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=64 * 1024 * 1024)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        up.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                lengths = [row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                self.calls += 1
                if COMPLAIN.encode() in body:
                    status, said = b"400 Bad Request", {"error": {"message": "That is wrong. " * 60_000}}
                elif b'"stream":true' in body.replace(b" ", b""):
                    await self._flood(writer, path)
                    break
                else:
                    status, said = (
                        b"200 OK",
                        samples.message() if "/messages" in path else samples.completion(),
                    )
                answer = json.dumps(said).encode()
                writer.write(
                    b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (status, len(answer), answer)
                )
                await writer.drain()

    async def _flood(self, writer: asyncio.StreamWriter, path: str) -> None:
        flood = Flood(time.monotonic())
        self.floods.append(flood)
        opening, event = _events(path)
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            writer.write(opening)
            while True:
                writer.write(event * 200)
                flood.sent += 200
                flood.progressed = time.monotonic()
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            flood.ended = time.monotonic()


def _events(path: str) -> tuple[bytes, bytes]:
    """How a stream at `path` begins, and what it then says again and again."""
    if "/messages" in path:
        start, opened, delta, *_ = samples.message_events("a")
        opening = [start, opened]
    elif "/responses" in path:
        start, delta, _ = samples.response_events("a")
        opening = [start]
    else:
        return b"", b"data: " + json.dumps(samples.chunk(delta={"content": "a"})).encode() + b"\n\n"
    return samples.as_events(opening).encode(), samples.as_events([delta]).encode()


_WATCH = """
import http.client, sys, time
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=120)
slowest = 0.0
while True:
    began = time.monotonic()
    connection.request("GET", "/health")
    connection.getresponse().read()
    slowest = max(slowest, time.monotonic() - began)
    print(slowest, flush=True)
    time.sleep(0.01)
"""


class Watch:
    """Asks `/health` over and over; `slowest` is the longest that one answer took, in seconds, known at the end.

    As a process of its own, since what the attacker does here would keep it waiting, too.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.slowest = 0.0

    @contextmanager
    def running(self) -> Iterator[Watch]:
        at = urlsplit(self.url)
        command = [sys.executable, "-c", _WATCH, at.hostname or "", str(at.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            try:
                self.slowest = float(watch.stdout.readline())
                reading = threading.Thread(target=self._read, args=(watch.stdout,), daemon=True)
                reading.start()
                yield self
                time.sleep(0.2)
            finally:
                watch.terminate()
            reading.join(10)

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.slowest = float(line)


def config(provider: Provider, **limits: Any) -> dict[str, Any]:
    """The models `openai` and `claude`, both at the provider."""

    def model(name: str, model: str, base: str) -> dict[str, Any]:
        params = {"model": model, "api_base": base, "api_key": "the-providers-key"}
        return {"model_name": name, "litellm_params": params}

    return {
        "model_list": [
            model("openai", "openai/gpt-4o-mini", f"{provider.url}/v1"),
            model("claude", "anthropic/claude-3-5-haiku-20241022", provider.url),
        ],
        "general_settings": {"master_key": KEY},
        "limits": limits,
    }


@contextmanager
def serving(
    folder: Path, arms: tuple[str, ...] = ARMS, **limits: Any
) -> Iterator[tuple[dict[str, str], Provider]]:
    """The proxies' addresses, by arm, and their provider; fails for what reaches the environment's providers."""
    with ExitStack() as closing:
        provider = closing.enter_context(Provider().serving())
        trap = Trap()
        closing.callback(trap.close)
        patched = closing.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment(trap).items():
            patched.setenv(name, value)
        processes = {}
        for arm in arms:
            path = folder / f"{arm}.yaml"
            path.write_text(json.dumps(config(provider, **limits)))
            processes[arm] = ProxyProcess(arm, path)
            closing.callback(processes[arm].stop)
        deadline = time.monotonic() + START_DEADLINE
        yield {arm: process.wait_listening(deadline) for arm, process in processes.items()}, provider
        assert trap.caught() == []

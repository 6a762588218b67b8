"""Puts pressure on both proxies as real processes: a provider that answers or floods, and a watch on `/health`.

attack ──> memory-proxy ──> (LiteLLM) ──> provider
watch  ──> memory-proxy /health, again and again, each time taken
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from parity.targets.arms import ARMS
from parity.targets.stack import START_DEADLINE, ProxyProcess

KEY = "sk-of-the-attacks-0123456789abcdef"
_COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-5-haiku-20241022",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
_CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
}


@dataclass
class Flood:
    """One streamed call at the provider: what it sent, and when its connection was closed by the other side."""

    began: float
    sent: int = 0
    ended: float | None = None


class Provider:
    """Answers a plain call at once; a streamed one with chunks as fast as they are taken, for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.floods: list[Flood] = []
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def serving(self) -> Iterator[Provider]:
        up = threading.Event()

        async def run() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=64 * 1024 * 1024)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            up.set()

        self._loop.create_task(run())
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        up.wait()
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                lengths = [row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                self.calls += 1
                if b'"stream":true' in body.replace(b" ", b""):
                    await self._flood(writer)
                    break
                answer = json.dumps(_MESSAGE if "/messages" in path else _COMPLETION).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (len(answer), answer)
                )
                await writer.drain()
        writer.close()

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        flood = Flood(time.monotonic())
        self.floods.append(flood)
        event = b"data: " + json.dumps(_CHUNK).encode() + b"\n\n"
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            while True:
                writer.write(event * 200)
                flood.sent += 200
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            flood.ended = time.monotonic()


@dataclass
class Watch:
    """Asks `/health` over and over; `slowest` is the longest that one answer took, in seconds."""

    url: str
    times: list[float] = field(default_factory=list)

    @property
    def slowest(self) -> float:
        return max(self.times)

    @contextmanager
    def running(self) -> Iterator[Watch]:
        stop = threading.Event()
        at = urlsplit(self.url)

        def ask() -> None:
            connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=120)
            while not stop.is_set():
                began = time.monotonic()
                connection.request("GET", "/health")
                connection.getresponse().read()
                self.times.append(time.monotonic() - began)
                stop.wait(0.01)
            connection.close()

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join(120)


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
    """The proxies' addresses, by arm, and their provider."""
    with ExitStack() as closing:
        provider = closing.enter_context(Provider().serving())
        processes = {}
        for arm in arms:
            path = folder / f"{arm}.yaml"
            path.write_text(json.dumps(config(provider, **limits)))
            processes[arm] = ProxyProcess(arm, path)
            closing.callback(processes[arm].stop)
        deadline = time.monotonic() + START_DEADLINE
        yield {arm: process.wait_listening(deadline) for arm, process in processes.items()}, provider

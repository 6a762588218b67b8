"""A backend that does what a test tells it, and an ASGI client that sees every message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from proxies.backend import Call, Reply
from proxies.config.models import ENVIRONMENT_ROUTES, ProxyConfig
from tests import samples

KEY = "sk-test-0123456789abcdef"

CHOICES = samples.completion()["choices"]
"""What a chat completion says where its test doesn't care."""


def make_config(**sections: Any) -> ProxyConfig:
    """Models `fast`, `team/fast` and `remembered` (through Supermemory); a body limit of 0.001 MB; all data routes."""
    models = [
        {"model_name": "fast", "litellm_params": {"model": "openai/a"}},
        {"model_name": "fast", "litellm_params": {"model": "openai/b"}},
        {"model_name": "team/fast", "litellm_params": {"model": "openai/a"}},
        {
            "model_name": "remembered",
            "litellm_params": {"model": "openai/a"},
            "model_info": {"supermemory": True},
        },
    ]
    general = {
        "master_key": KEY,
        "max_request_size_mb": 0.001,
        "environment_routes": list(ENVIRONMENT_ROUTES),
    }
    return ProxyConfig.model_validate({"model_list": models, "general_settings": general, **sections})


class FakeStream:
    """Gives `chunks`; an exception among them is raised, an event is waited for."""

    def __init__(self, chunks: Sequence[Any], headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.closed = 0
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            if isinstance(chunk, asyncio.Event):
                await chunk.wait()
            else:
                yield chunk

    async def aclose(self) -> None:
        self.closed += 1


class FakeBackend:
    """Answers every call with `reply` or `chunks`, or raises `error`; remembers what happened.

    To a `reply` that is a chat completion it adds a choice, unless the test gives its own: no answer is without one.
    """

    def __init__(
        self,
        *,
        reply: dict[str, Any] | None = None,
        chunks: Sequence[Any] = (),
        headers: Mapping[str, str] | None = None,
        error: Exception | None = None,
        hang: bool = False,
        not_ready: Exception | None = None,
    ) -> None:
        self.calls: list[Call] = []
        self.streams: list[FakeStream] = []
        self.states: list[str] = []
        self.called = asyncio.Event()
        self.cancelled = False
        self._reply = reply or {}
        self._chunks = chunks
        self._headers = headers or {}
        self._error = error
        self._hang = hang
        self._not_ready = not_ready

    async def start(self) -> None:
        self.states.append("started")

    async def check_ready(self) -> None:
        if self._not_ready:
            raise self._not_ready

    async def complete(self, call: Call) -> Reply:
        await self._answer(call)
        choices = {"choices": CHOICES} if call.route == "chat/completions" else {}
        return Reply({**choices, **self._reply}, self._headers)

    async def count(self, call: Call) -> Reply:
        await self._answer(call)
        return Reply({"input_tokens": 1}, self._headers)

    async def stream(self, call: Call) -> FakeStream:
        await self._answer(call)
        self.streams.append(FakeStream(self._chunks, self._headers))
        return self.streams[-1]

    def sessions(self) -> dict[str, int]:
        return {"open": 2, "upstreams": 1, "limit": 3}

    def restarts(self) -> int:
        return 4

    forward = None

    async def aclose(self) -> None:
        self.states.append("closed")

    async def _answer(self, call: Call) -> None:
        self.calls.append(call)
        self.called.set()
        if self._error:
            raise self._error
        if self._hang:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise


class Exchange:
    """One request to an ASGI app, message by message; `disconnect` hangs up."""

    def __init__(
        self, app: Any, path: str, body: bytes, headers: Mapping[str, str], method: str = "POST"
    ) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = 0
        self._body = body
        self._gone = asyncio.Event()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self.sent.put))

    async def _receive(self) -> dict[str, Any]:
        self.reads += 1
        if self.reads == 1:
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def message(self) -> dict[str, Any]:
        """The app's next message, within five seconds."""
        return await asyncio.wait_for(self.sent.get(), 5)

    def disconnect(self) -> None:
        self._gone.set()

    async def end(self) -> list[dict[str, Any]]:
        """What the app has sent and nobody has read, once it is done."""
        await asyncio.wait_for(self.task, 5)
        return [self.sent.get_nowait() for _ in range(self.sent.qsize())]

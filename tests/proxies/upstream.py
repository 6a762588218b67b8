"""What the unit tests of both proxies have upstream: a handler in place of HTTP, and bodies that come in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from proxies.sessions import LiteLLMSessionManager, ProxySessionManager

Handler = Callable[[httpx.Request], httpx.Response]
Play = Callable[[Handler | httpx.Response], list[httpx.Request]]

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
"""Of OpenAI's."""
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
"""Of Anthropic's."""


def player(
    manager: type[LiteLLMSessionManager | ProxySessionManager], monkeypatch: pytest.MonkeyPatch
) -> Play:
    """Puts a handler, or one response for all, under the sessions of `manager`; returns the requests that it gets."""

    def play(upstream: Handler | httpx.Response) -> list[httpx.Request]:
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return upstream if isinstance(upstream, httpx.Response) else upstream(request)

        monkeypatch.setattr(manager, "_pool", lambda self, upstream: httpx.MockTransport(answer))
        return seen

    return play


class Body(httpx.AsyncByteStream):
    """Pieces of a body; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed = True


async def read(stream: Any, into: list[Any]) -> None:
    """All that it yields until it ends or raises."""
    async for chunk in stream:
        into.append(chunk)

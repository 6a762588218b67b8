"""What the unit tests of both proxies have upstream: a handler in place of HTTP, and bodies that come in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from proxies.sessions import LiteLLMSessionManager, ProxySessionManager
from tests import samples

Handler = Callable[[httpx.Request], httpx.Response]
Play = Callable[[Handler | httpx.Response], list[httpx.Request]]

COMPLETION = samples.completion()
MESSAGE = samples.message()


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

"""Stands upstream of a proxy in unit tests: a transport in place of the network, that answers as a test says.

It is a LiteLLM process, a provider or a store of memories, by who is given it. `tests/proxies/interceptor/fakes.py`
and `tests/attacks/providers` have real sockets instead, where bytes matter that httpx doesn't let through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx

from proxies.sessions import LiteLLMSessionManager, MemorySessionManager, ProxySessionManager

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
Sessions = TypeVar("Sessions", ProxySessionManager, LiteLLMSessionManager, MemorySessionManager)


class Upstream(httpx.AsyncBaseTransport):
    """Keeps every request, its body read; answers with one response for all, or as a function of the request says.

    `pieces` counts those that bodies came in, `closed` how often it was closed.
    """

    def __init__(self, answer: Handler | httpx.Response | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.pieces = 0
        self.closed = 0
        self._answer = answer

    def __call__(self, answer: Handler | httpx.Response) -> list[httpx.Request]:
        """Answers so from now on; returns the requests from now on."""
        self._answer = answer
        self.requests = []
        return self.requests

    def sessions(self, manager: type[Sessions], **options: Any) -> Sessions:
        """A session manager whose every upstream is this one."""
        return manager(transport=lambda url: self, **options)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        pieces = [piece async for piece in request.stream if piece]
        self.pieces += len(pieces)
        whole = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=b"".join(pieces),
            extensions=request.extensions,
        )
        self.requests.append(whole)
        assert self._answer is not None, f"nothing is said to be answered to {whole.method} {whole.url}"
        if isinstance(self._answer, httpx.Response):
            return self._answer
        answered = self._answer(whole)
        return answered if isinstance(answered, httpx.Response) else await answered

    async def aclose(self) -> None:
        self.closed += 1

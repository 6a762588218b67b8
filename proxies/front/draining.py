"""A server that stops lets requests under way end, until their time is up: then each is told so, in its own way.

    server ── begin ──> readiness says 503
           ── cut ────> what waits for an answer gets 503, a stream its error event and its end

The server puts its `Draining` into the `state` of every request's scope; where there is none, nothing ever ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Scope

from proxies.errors import ProxyError

STOPPING = "The proxy is shutting down."
_KEY = "draining"
_HEADERS = {"retry-after": "1"}


class Draining:
    """Whether the server stops, and what still runs. `begin` and `cut` may be called any number of times."""

    def __init__(self) -> None:
        self.begun = False
        self._over = False
        self._running: set[asyncio.Timeout] = set()

    def begin(self) -> None:
        self.begun = True

    def cut(self) -> None:
        """Every block of `until_cut` ends now, and each later one at once."""
        self.begun = self._over = True
        now = asyncio.get_running_loop().time()
        for block in self._running:
            block.reschedule(now)
        self._running.clear()

    def enter(self, scope: Scope) -> None:
        """Make the request of `scope` one of this server's."""
        scope.setdefault("state", {})[_KEY] = self

    @contextlib.asynccontextmanager
    async def until_cut(self) -> AsyncIterator[None]:
        """Raises `ProxyError` 503 out of its block when the time is up."""
        block = asyncio.timeout(0 if self._over else None)
        try:
            async with block:
                self._running.add(block)
                try:
                    yield
                finally:
                    self._running.discard(block)
        except TimeoutError:
            if not block.expired():
                raise
            raise stopping() from None


def draining_of(scope: Scope) -> Draining:
    """The one of the server that received the request."""
    state: dict[str, Any] = scope.get("state") or {}
    found = state.get(_KEY)
    return found if isinstance(found, Draining) else Draining()


def stopping() -> ProxyError:
    return ProxyError(503, STOPPING, headers=_HEADERS)

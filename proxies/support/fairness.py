"""Lets others have their turn while an answer is sent whose pieces are always there already.

A loop that reads such pieces and sends them never waits, as long as the client reads as fast: meanwhile nobody else is
served, and that the client has left isn't noticed.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

TURN = 0.01
"""Seconds that one answer may work on without a pause."""


class Fair:
    """An ASGI application that pauses between the pieces of its answers when it has worked for a turn."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        paused = time.monotonic()

        async def fairly(message: Any) -> None:
            nonlocal paused
            await send(message)
            if time.monotonic() - paused > TURN:
                await asyncio.sleep(0)
                paused = time.monotonic()

        await self.app(scope, receive, fairly)

"""Counts frames that are held back: a source of frames that waits until its reader has read the last one."""

from __future__ import annotations

import asyncio

PATIENCE = 0.5
"""The seconds that a frame may take to get through a proxy in this process. One that streams needs none of
it.
"""


class Lockstep:
    """Links a double, which sends frames, and the client, which reads what the proxy makes of them.

    `held_back` counts the frames that the client had not seen when the next one was due. After the first
    one there is no more waiting: the proxy buffers, and the count is all that is left to learn.
    """

    def __init__(self) -> None:
        self.held_back = 0
        self._read = asyncio.Event()

    def sending(self) -> None:
        """Note that a frame is about to leave the source."""
        self._read.clear()

    def has_read(self) -> None:
        """Note that the client has read something."""
        self._read.set()

    async def until_read(self) -> None:
        """Wait before the next frame leaves."""
        if not self._read.is_set() and self.held_back == 0:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._read.wait()
            except TimeoutError:
                pass
        if not self._read.is_set():
            self.held_back += 1

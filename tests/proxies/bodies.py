"""Bodies of answers for the unit tests of both proxies: whole ones, and those that come in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests import samples

COMPLETION = samples.completion()
MESSAGE = samples.message()


class Body(httpx.AsyncByteStream):
    """Pieces of a body; an exception among them is raised."""

    ends_after = 0.0
    """Seconds between the last piece and the end."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = self.read_to_its_end = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
        await asyncio.sleep(self.ends_after)
        self.read_to_its_end = not self.closed

    async def aclose(self) -> None:
        self.closed = True


async def read(stream: Any, into: list[Any]) -> None:
    """All that it yields until it ends or raises."""
    async for chunk in stream:
        into.append(chunk)

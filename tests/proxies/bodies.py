"""Bodies of answers for the unit tests of both proxies: whole ones, and those that come in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests import samples

COMPLETION = samples.completion()
MESSAGE = samples.message()


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

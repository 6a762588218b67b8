"""Says what every dialect has: parameters with types, and a way to write its stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from proxies.errors import ProxyError


class Open(BaseModel):
    """Strict about what it knows; the rest is the provider's to judge."""

    model_config = ConfigDict(extra="allow", strict=True)


class Framing(Protocol):
    """How a route writes its stream: a chunk, a failure in the middle, the end."""

    @property
    def end(self) -> bytes: ...

    def checked(self, chunks: AsyncIterator[dict[str, Any]], model: str) -> AsyncIterator[dict[str, Any]]:
        """The chunks as the client gets them, `model` the name it asked for; raises `ProxyError`."""

    def frame(self, chunk: dict[str, Any]) -> bytes: ...

    def failure(self, error: ProxyError) -> bytes: ...

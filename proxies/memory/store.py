"""Says what a memory store can be asked; Supermemory, the embedded and the shared store can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """The store gave no usable answer; the text says why, without what was asked and without keys."""


@dataclass(frozen=True, slots=True)
class Result:
    """A memory that fits the question. `similarity` from 0 to 1, None where the store doesn't say."""

    text: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Memories:
    """Holds what a store knows: `profile` about the user whatever the question is, `results` about the question."""

    profile: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()


class Store(Protocol):
    """Every method speaks of one user alone. Failures are `StoreError`."""

    async def search(self, query: str, user_id: str, limit: int) -> Memories: ...

    async def remember(self, user_id: str, said: str, answered: str) -> None:
        """Keep a finished turn; a store that learns in other ways does nothing."""

    async def check(self) -> None:
        """Return when it can be used, as far as that is known without asking anybody else."""

    def version(self) -> object:
        """Something that changes when what was found before counts no more."""

    async def aclose(self) -> None: ...

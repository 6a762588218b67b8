"""Holds what the workers of one proxy share: counts, the cookies of their users, a folder for their files.

It is made before the workers are forked, which inherit it. A proxy of one process has one, too, that nobody shares.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from proxies.config.sharing import SharedStore
from proxies.cookies import CookieFile, Shelf
from proxies.redis_cookies import RedisCookies


class Count:
    """A number for each worker, which that worker alone changes; everyone reads their sum.

    So no lock is needed, which a worker that is killed would keep.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        # Anonymous memory, which a fork doesn't copy.
        self._numbers = memoryview(mmap.mmap(-1, 8 * shared.workers)).cast("q")

    def add(self, number: int) -> None:
        """Add to this worker's number."""
        self._numbers[self._shared.index] += number

    def total(self) -> int:
        return sum(self._numbers)

    def each(self) -> list[int]:
        """Return the numbers of all workers, in their order."""
        return list(self._numbers)

    def put(self, index: int, number: int) -> None:
        """Set the number of a worker that isn't running: one that has ended, or isn't forked yet."""
        self._numbers[index] = number


class Shared:
    """Knows how many workers there are, and in each of them its `index`, from 0; `folder` is for their files alone."""

    def __init__(self, workers: int = 1, folder: Path | None = None) -> None:
        self.workers = workers
        self.index = 0
        self.folder = folder
        self._counts: list[Count] = []
        self.requests = self.count()
        """How many requests each worker answers."""
        self.pids = Count(self)
        """The process id of each worker, 0 of one that has ended."""
        self.cookies: Shelf | None = CookieFile(folder / "cookies.sqlite", Count(self)) if folder else None

    def through(self, store: SharedStore | None) -> Shared:
        """Keep the cookies in the store of several machines, where there is one. Idempotent; returns itself."""
        if store is not None and not isinstance(self.cookies, RedisCookies):
            self.cookies = RedisCookies(store)
        return self

    def count(self) -> Count:
        """Return a new count, of which a worker takes its part along when it ends."""
        made = Count(self)
        self._counts.append(made)
        return made

    def forget(self, index: int) -> None:
        """Take a worker that has ended out of the counts."""
        self.pids.put(index, 0)
        for count in self._counts:
            count.put(index, 0)

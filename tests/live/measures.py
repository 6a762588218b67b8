"""What a process and its children hold, by Linux's own book-keeping, and waiting for it with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

AVAILABLE = Path("/proc/self/statm").exists()


async def until(true: Callable[[], bool], deadline: float) -> None:
    """Returns as soon as it is so; fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < end, f"not so within {deadline:g} s"
        await asyncio.sleep(0.01)


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def sockets(pids: list[int]) -> int:
    count = 0
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(entry).startswith("socket:")
    return count


def resident(pids: list[int]) -> float:
    """MB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

"""What a process and its children hold, by Linux's own book-keeping."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AVAILABLE = Path("/proc/self/statm").exists()


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

"""Tells whether a process still runs."""

from __future__ import annotations

import os
from pathlib import Path


def gone(pid: int) -> bool:
    """Whether a process has ended. One that nobody has reaped yet, a zombie, has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:  # also where it is reaped between `open` and `read`
        return True
    except FileNotFoundError:
        return Path("/proc/self/stat").exists()  # reaped in between; where there is no /proc, it runs

"""Counts the processor cores that this process may use, and the workers that they can feed."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def waiting_workers() -> int:
    """Return how many workers keep the cores busy that wait for other processes: one more than there are cores."""
    return cores() + 1

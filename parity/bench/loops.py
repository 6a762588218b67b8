"""Chooses the event loop of the bench's own processes: uvloop where it is installed, which is faster."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from typing import Any


def name() -> str:
    return "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"


def runner() -> asyncio.Runner:
    """Return a runner with that loop."""
    factory: Callable[[], Any] | None = None
    if name() == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    return asyncio.Runner(loop_factory=factory)

"""Delays Ctrl-C while code runs that would take it for a failure of its own."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Delay a Ctrl-C (SIGINT) during the body, so that KeyboardInterrupt is raised after it, not inside.

    Does nothing outside of the main thread, which alone gets signals, and nothing where SIGINT is ignored or
    handled by no Python code: a Ctrl-C raises nothing there either.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            raise KeyboardInterrupt

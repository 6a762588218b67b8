"""Delays a Ctrl-C that code would take for a failure of its own; lets a SIGTERM end code that tidies up."""

from __future__ import annotations

import contextlib
import signal
import sys
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


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let a SIGTERM during the body raise SystemExit (143), so that processes it started are ended, files removed.

    Does nothing outside of the main thread, and nothing where Python didn't set the handler.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

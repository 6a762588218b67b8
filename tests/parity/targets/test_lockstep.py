"""Holding back, counted."""

from __future__ import annotations

import asyncio
import time

import pytest

from parity.targets import lockstep
from parity.targets.lockstep import Lockstep


async def test_a_reader_that_keeps_up_holds_nothing_back() -> None:
    """A frame that was read before the next one is due counts for nothing."""
    steps = Lockstep()
    for _ in range(3):
        steps.sending()
        steps.has_read()
        await steps.until_read()
    assert steps.held_back == 0


async def test_a_slow_reader_is_waited_for() -> None:
    """The next frame leaves as soon as the last one was read, within the patience."""
    steps = Lockstep()
    steps.sending()
    waiting = asyncio.create_task(steps.until_read())
    await asyncio.sleep(0)
    assert not waiting.done()
    steps.has_read()
    await waiting
    assert steps.held_back == 0


async def test_frames_that_nobody_reads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame that is not read when the next one is due is one more."""
    monkeypatch.setattr(lockstep, "PATIENCE", 0.01)
    steps = Lockstep()
    for _ in range(3):
        steps.sending()
        await steps.until_read()
    assert steps.held_back == 3


async def test_patience_is_spent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first frame that was held back there is no more waiting: a long stream costs no more."""
    monkeypatch.setattr(lockstep, "PATIENCE", 0.2)
    steps = Lockstep()
    began = time.monotonic()
    for _ in range(20):
        steps.sending()
        await steps.until_read()
    assert steps.held_back == 20
    assert 0.2 <= time.monotonic() - began < 1


async def test_reading_later_does_not_undo_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was held back once stays counted, and frames read in time before and after it are not."""
    monkeypatch.setattr(lockstep, "PATIENCE", 0.01)
    steps = Lockstep()
    steps.sending()
    steps.has_read()
    await steps.until_read()
    steps.sending()
    await steps.until_read()
    steps.sending()
    steps.has_read()
    await steps.until_read()
    assert steps.held_back == 1

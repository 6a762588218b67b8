"""What is read of processes: here of this one."""

from __future__ import annotations

import os
import sys

import pytest

from parity.bench.processes import memory_after

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")


def test_memory_is_looked_at_though_the_load_ends_before_its_time() -> None:
    """Once, and not at all where there is no process."""
    with memory_after([os.getpid()], 3600) as held:
        assert held == []
    with memory_after([], 3600) as nothing:
        pass
    assert len(held) == 1
    assert held[0] > 1
    assert nothing == []

from __future__ import annotations

import os

import pytest

from parity import matrix
from parity.support import cores


def test_the_cores_that_may_be_used_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the system leaves to this process; where it doesn't tell, those that there are, or one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert cores.cores() == 3
    assert cores.waiting_workers() == 4
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.cores() == 1


@pytest.mark.parametrize(
    ("tier", "asked", "told"), [("live", "auto", "4"), ("mocked", "auto", "auto"), ("live", "2", "2")]
)
def test_live_cells_get_a_worker_more(
    tier: str, asked: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for the processes that they ask; whoever names a number gets it."""
    monkeypatch.setattr(matrix, "waiting_workers", lambda: 4)
    assert matrix._workers(matrix.Plan(tier, ("sdk",), workers=asked)) == told  # type: ignore[arg-type]

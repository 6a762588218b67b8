"""The soak itself, for some seconds: `python -m tests.live.soak` is the long one."""

from __future__ import annotations

import pytest

from parity.targets.arms import Arm
from tests.live.measures import AVAILABLE
from tests.live.soak import soak

pytestmark = [
    pytest.mark.load,
    pytest.mark.skipif(not AVAILABLE, reason="reads /proc"),
]


async def test_mixed_traffic_with_faults(arm: Arm) -> None:
    """Whatever goes wrong around them, answers are right, and nothing is left behind."""
    outcome = await soak(arm, 6, warm_up=6, progress=lambda _: None)
    assert outcome.wrong == []
    assert outcome.leaks == []
    assert len(outcome.asked) > 15  # of the kinds of requests there are

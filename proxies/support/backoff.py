"""Says how long to wait before something that keeps ending is started again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the n-th start in a row, in seconds.

    `first` doubles each time up to `most`, shortened by a random part of up to a half. One that ran for
    `healthy` seconds has paid its debts: the next wait is the first again.
    """

    first: float = 0.5
    most: float = 60.0
    healthy: float = 60.0

    def delay(self, failures: int) -> float:
        """The wait after so many failures in a row before this one."""
        whole = min(self.most, self.first * 2.0 ** min(failures, 32))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311  # spreads restarts, guards nothing

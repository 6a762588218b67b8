"""Medians, spreads, ratios and lines, of numbers whose outcome is known."""

from __future__ import annotations

import math

import pytest

from parity.bench.statistics import line, quantile, ratio, spread


def test_a_quantile_lies_between_its_neighbours() -> None:
    """Linear between two values, the ends themselves at 0 and 1, no number of nothing."""
    assert quantile([1.0, 3.0], 0.5) == 2.0
    assert quantile([1.0, 2.0, 9.0], 1) == 9.0
    assert quantile([7.0], 0.99) == 7.0
    assert math.isnan(quantile([], 0.5))


def test_a_spread_is_a_share_of_the_median() -> None:
    """Equal rounds have none, one round neither."""
    assert spread([2.0, 2.0, 2.0]) == 0
    assert spread([5.0]) == 0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.5)


def test_a_ratios_interval_holds_it_and_grows_with_the_spread() -> None:
    """Drawn from rounds that belong together; too few rounds have no interval."""
    steady, low, high = ratio([20.0, 22.0, 18.0], [10.0, 11.0, 9.0])
    assert steady == 2.0
    assert (low, high) == (pytest.approx(20 / 11, abs=0.5), pytest.approx(2.2, abs=0.5))
    _, wide_low, wide_high = ratio([20.0, 60.0, 5.0], [10.0, 10.0, 10.0])
    assert None not in (low, high, wide_low, wide_high)
    assert wide_high - wide_low > high - low  # type: ignore[operator]
    assert ratio([4.0, 4.0], [2.0, 2.0]) == (2.0, None, None)


def test_a_line_is_found_again() -> None:
    """Its value at zero, its slope, and how much it explains."""
    start, slope, r2 = line([(0, 1.0), (1, 3.0), (2, 5.0)])
    assert (start, slope, r2) == (pytest.approx(1), pytest.approx(2), pytest.approx(1))
    assert line([(1, 1.0), (1, 3.0)]) == (2.0, 0.0, 0.0)
    assert line([(0, 0.0), (1, 9.0), (2, 0.0)])[2] < 0.1

"""Medians, spreads, ratios and lines, of numbers whose outcome is known."""

from __future__ import annotations

import math

import pytest

from parity.bench.statistics import deviation, exponent, line, quantile, ratio, rise, spread


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


def test_the_last_step_has_an_exponent() -> None:
    """1 in proportion, 2 as the square, 0 where nothing grows; none without two places above zero."""
    assert exponent([(1, 9.0), (2, 4.0), (4, 8.0)]) == pytest.approx(1)
    assert exponent([(3, 9.0), (1, 1.0)]) == pytest.approx(2)
    assert exponent([(1, 5.0), (2, 5.0)]) == 0
    assert exponent([(1, 5.0)]) is exponent([(0, 1.0), (2, 5.0)]) is exponent([(1, 0.0), (2, 5.0)]) is None


def test_the_farthest_point_is_told_as_a_share() -> None:
    """Of what was measured there, above the line or below it."""
    assert deviation([(0, 1.0), (1, 4.0), (2, 5.0)], 1, 2) == pytest.approx(0.25)
    assert deviation([(0, 0.5), (1, 3.0)], 1, 2) == pytest.approx(1)
    assert deviation([(0, 0.0)], 1, 2) == 0


def test_a_rise_is_that_above_any_point_before() -> None:
    """Whatever the order they are given in; what only falls has none."""
    assert rise([(3, 3.0), (1, 4.0), (2, 2.0)]) == pytest.approx(0.5)
    assert rise([(1, 4.0), (2, 4.0), (3, 1.0)]) == 0

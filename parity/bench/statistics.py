"""Computes medians, spreads, ratios with intervals, and fits; pure functions of numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean, median

RESAMPLES = 2000
CONFIDENCE = 0.95
FEWEST = 3
"""The fewest rounds of which an interval says anything."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the ordered values lie, linear between two; NaN of none."""
    if not ordered:
        return math.nan
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> float:
    """Return how far the rounds lie apart: the distance of their quartiles as a share of the median."""
    ordered = sorted(values)
    middle = quantile(ordered, 0.5)
    if len(ordered) < 2 or not middle:
        return 0.0
    return (quantile(ordered, 0.75) - quantile(ordered, 0.25)) / abs(middle)


def ratio(
    ours: Sequence[float], theirs: Sequence[float], seed: int = 0
) -> tuple[float, float | None, float | None]:
    """Return the ratio of the medians, and its interval: the percentiles of a bootstrap over rounds.

    A round measured both, one after the other, so both are drawn from the same rounds. Below `FEWEST` rounds there is
    no interval.
    """
    whole = median(ours) / median(theirs)
    pairs = list(zip(ours, theirs, strict=False))
    if len(pairs) < FEWEST:
        return whole, None, None
    draw = random.Random(seed)  # noqa: S311  # statistics
    found = []
    for _ in range(RESAMPLES):
        chosen = draw.choices(pairs, k=len(pairs))
        found.append(median(one for one, _ in chosen) / median(other for _, other in chosen))
    found.sort()
    edge = (1 - CONFIDENCE) / 2
    return whole, quantile(found, edge), quantile(found, 1 - edge)


def deviation(points: Sequence[tuple[float, float]], start: float, slope: float) -> float:
    """Return how far the farthest point lies from a line, as a share of what was measured there."""
    return max((abs(y - start - slope * x) / abs(y) for x, y in points if y), default=0.0)


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return how the last step grew: 1 as fast as x, 2 as its square. None where logarithms say nothing."""
    ordered = sorted(points)[-2:]
    if len(ordered) < 2 or ordered[0][0] <= 0 or ordered[0][0] == ordered[1][0]:
        return None
    (x, y), (larger_x, larger_y) = ordered
    if y <= 0 or larger_y <= 0:
        return None
    return math.log(larger_y / y) / math.log(larger_x / x)


def rise(points: Sequence[tuple[float, float]]) -> float:
    """Return the most by which a point lies above one before it, as a share of that one; 0 where none does."""
    most, lowest = 0.0, math.inf
    for _, y in sorted(points):
        most = max(most, y / lowest - 1) if lowest > 0 else most
        lowest = min(lowest, y)
    return most


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Fit a straight line by least squares: its value at zero, its slope, and R², the share that it explains."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    mean_x, mean_y = fmean(xs), fmean(ys)
    varied = sum((x - mean_x) ** 2 for x in xs)
    if not varied:
        return mean_y, 0.0, 0.0
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / varied
    start = mean_y - slope * mean_x
    total = sum((y - mean_y) ** 2 for y in ys)
    missed = sum((y - start - slope * x) ** 2 for x, y in points)
    return start, slope, 1 - missed / total if total else 1.0

"""Decides whom the others are compared with: the first target, or at each place the value that most of them show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from parity.judging.diff import Difference
from parity.judging.jsondiff import canonical


class Pair(NamedTuple):
    """Holds a difference, and the two targets whose values it shows."""

    left: str
    right: str
    found: Difference


def by_majority(targets: Sequence[str], pairs: Iterable[Pair]) -> list[Pair]:
    """Turn differences from the first target into differences from the majority, path by path.

    A target without a difference at a path shows what the first one shows there, unless it differs above or below: then
    it has no voice there. Where no value has more voices than every other, the first target's stands.
    """
    base = targets[0]
    at: dict[str, dict[str, Difference]] = {}
    for _, target, found in pairs:
        at.setdefault(found.path, {})[target] = found
    turned: list[Pair] = []
    for path, differing in at.items():
        first = next(iter(differing.values()))
        values = {
            target: differing[target].right if target in differing else first.left
            for target in targets
            if target == base or target in differing or not _elsewhere(path, target, at)
        }
        turned += _turned(first, values)
    return turned


def _turned(first: Difference, values: Mapping[str, Any]) -> Iterable[Pair]:
    voices = Counter(canonical(value) for value in values.values())
    (leader, most), *others = voices.most_common()
    if any(count == most for _, count in others):
        leader = canonical(first.left)
    keeper = next(target for target, value in values.items() if canonical(value) == leader)
    for target, value in values.items():
        if canonical(value) != leader:
            change = {"left": values[keeper], "right": value}
            yield Pair(keeper, target, first.model_copy(update=change))


def _elsewhere(path: str, target: str, at: Mapping[str, Mapping[str, Difference]]) -> bool:
    """Return whether a target differs above or below a path."""
    return any(target in differing and related(path, other) for other, differing in at.items())


def related(one: str, other: str) -> bool:
    """Return whether one of two paths stands below the other."""
    above, below = sorted((one, other), key=len)
    return above != below and below.startswith((f"{above}.", f"{above}["))

"""Sets aside differences that say nothing: places at which a target differs from itself, and those that a user names.

A place is a path whose indexes are written `[*]`; what stands below it belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parity.judging.diff import diff
from parity.judging.normalise import normalise
from parity.judging.verdict import Verdict
from parity.observation.model import Observation, clients_side

_INDEX = re.compile(r"\[[0-9]+\]")


def place(path: str) -> str:
    """Return the place of a path: every index as `[*]`."""
    return _INDEX.sub("[*]", path)


def noise(first: Iterable[Observation], again: Iterable[Observation]) -> dict[str, set[str]]:
    """Return the places at which the same target differed when it was asked twice, by scenario."""
    repeated = {observation.scenario: observation for observation in again}
    found: dict[str, set[str]] = {}
    for one in first:
        other = repeated[one.scenario]
        sides = [clients_side(normalise(side).observation) for side in (one, other)]
        if differences := diff(*sides):
            found[one.scenario] = {place(difference.path) for difference in differences}
    return found


def without(
    verdict: Verdict, noisy: Sequence[Mapping[str, set[str]]], ignored: Sequence[str]
) -> tuple[Verdict, int, int]:
    """Return the verdict without differences in noise and without ignored ones, and the number of each.

    A header that comes and goes in one scenario is noise in all: an endpoint sets it, not an answer.
    """
    headers = {found for each in noisy for places in each.values() for found in places if ".headers" in found}
    counts = [0, 0]
    scenarios = []
    for scenario in verdict.scenarios:
        places = {found for each in noisy for found in each.get(scenario.id, ())} | headers
        kept = []
        for difference in scenario.differences:
            at = place(difference.path)
            if _within(at, ignored):
                counts[1] += 1
            elif _within(at, places):
                counts[0] += 1
            else:
                kept.append(difference)
        parity: Any = scenario.parity
        if parity is not None:
            unexplained = any(d.explained_by is None for d in kept)
            parity = "unexplained" if unexplained else "explained" if kept else "identical"
        scenarios.append(scenario.model_copy(update={"differences": tuple(kept), "parity": parity}))
    return verdict.model_copy(update={"scenarios": tuple(scenarios)}), counts[0], counts[1]


def _within(at: str, places: Iterable[str]) -> bool:
    return any(at == one or at.startswith((f"{one}.", f"{one}[")) for one in places)

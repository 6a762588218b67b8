"""Weighs two architectures, and solves for each weight where the ranking turns: sums of fractions, so exactly.

With weights w and scores s, the lead of one over the other is  D = Σ w·(s_one - s_other). It is linear in each
weight, so it is 0 at  w' = w - D / (s_one - s_other)  and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class Ranking:
    """Holds the totals (the weighted means of the scores) and the lead of the first over the second, unnormalised."""

    totals: dict[str, Fraction]
    lead: Fraction

    @property
    def winner(self) -> str | None:
        """Return who is ahead; None when they are level."""
        one, other = self.totals
        return one if self.lead > 0 else other if self.lead < 0 else None


def scores(values: Mapping[str, float], better: Literal["lower", "higher"]) -> dict[str, Fraction]:
    """Return 1 for the best value, and for the other its part of it: twice the time is a half."""
    exact = {name: Fraction(str(value)) for name, value in values.items()}
    best = min(exact.values()) if better == "lower" else max(exact.values())
    return {name: _score(value, best, better) for name, value in exact.items()}


def _score(value: Fraction, best: Fraction, better: str) -> Fraction:
    if value == best:
        return Fraction(1)
    return best / value if better == "lower" else value / best


def rank(
    weights: Mapping[str, Fraction], scored: Mapping[str, Mapping[str, Fraction]], arms: tuple[str, str]
) -> Ranking:
    """Rank by the factors that have scores; without any, both are level."""
    whole = sum((weights[name] for name in scored), Fraction(0))
    sums = {arm: sum((weights[n] * s[arm] for n, s in scored.items()), Fraction(0)) for arm in arms}
    totals = {arm: total / whole if whole else Fraction(0) for arm, total in sums.items()}
    return Ranking(totals, sums[arms[0]] - sums[arms[1]])


def flip(ranking: Ranking, weight: Fraction, score: Mapping[str, Fraction]) -> Fraction | None:
    """Return the weight of one factor at which both are level; None where there is none above 0, so none to pass."""
    one, other = ranking.totals
    apart = score[one] - score[other]
    if not apart or not ranking.lead:
        return None
    level = weight - ranking.lead / apart
    return level if level > 0 else None


def direction(ranking: Ranking, score: Mapping[str, Fraction]) -> Literal["above", "below"]:
    """Return on which side of the level the other one wins: above where the factor speaks for it, below else."""
    one, other = ranking.totals
    return "below" if (score[one] > score[other]) == (ranking.lead > 0) else "above"

"""Decides: weighs the factors that were measured, and says the result in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from parity.decision import factors as measured_factors
from parity.decision.model import ARMS, Decision, Factor, Weighed
from parity.decision.ranking import Ranking, direction, flip, rank, scores
from parity.measuring.model import Measured

MOST_FLIPS = 2
"""The weights that the sentence names: those that need to move least."""


def decide(parts: Mapping[str, Measured], weights: Mapping[str, Fraction], named: str) -> Decision:
    """Weigh what was measured by these weights, which come from the file `named`."""
    factors = measured_factors.read(parts)
    scored = {f.name: scores(f.values, f.better) for f in factors if f.values is not None}
    ranking = rank(weights, scored, ARMS)
    weighed = [_weighed(factor, weights[factor.name], scored.get(factor.name), ranking) for factor in factors]
    used = [part for part in parts.values() if part.data is not None]
    times = sorted(part.made for part in used)
    return Decision(
        winner=ranking.winner,
        sentence=_sentence(ranking, weighed),
        totals={arm: round(float(total), 4) for arm, total in ranking.totals.items()},
        factors=weighed,
        not_measured=[factor.name for factor in factors if factor.values is None],
        machine=used[-1].machine if used else None,
        versions=used[-1].versions if used else {},
        made=[times[0], times[-1]] if times else [],
        weights=named,
    )


def _weighed(
    factor: Factor, weight: Fraction, score: Mapping[str, Fraction] | None, ranking: Ranking
) -> Weighed:
    level = None if score is None else flip(ranking, weight, score)
    return Weighed(
        factor=factor,
        weight=float(weight),
        scores=None if score is None else {arm: round(float(value), 4) for arm, value in score.items()},
        flip=None if level is None else float(level),
        flip_exact=None if level is None else str(level),
        direction=None if level is None or score is None else direction(ranking, score),
    )


def _sentence(ranking: Ranking, weighed: list[Weighed]) -> str:
    missing = [w.factor.title for w in weighed if w.scores is None and w.weight]
    unknown = f" Not measured, and counted for neither: {', '.join(missing)}." if missing else ""
    winner = ranking.winner
    if winner is None:
        measured = any(w.scores is not None for w in weighed)
        level = "Neither: by these weights both are level." if measured else "Neither: nothing was measured."
        return level + unknown
    other = next(arm for arm in ARMS if arm != winner)
    needs = [w.factor.need[other] for w in weighed if _needs(w, other)]
    near = sorted((w for w in weighed if w.flip is not None), key=lambda w: abs((w.flip or 0) - w.weight))
    turns = [f"weigh {w.factor.title} {w.direction} {number(w.flip)} (now {number(w.weight)})" for w in near]
    unless = [*([f"need {' and '.join(needs)}"] if needs else []), *turns[:MOST_FLIPS]]
    end = f", unless you {', or '.join(unless)}" if unless else "; no single weight changes that"
    return f"{winner}{end}.{unknown}"


def _needs(weighed: Weighed, other: str) -> bool:
    scored = weighed.scores
    return bool(
        scored
        and other in weighed.factor.need
        and scored[other] == max(scored.values()) > min(scored.values())
    )


def number(value: float | None) -> str:
    """Write a number as short as it stays true: two digits behind the point, none where they are 0."""
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")

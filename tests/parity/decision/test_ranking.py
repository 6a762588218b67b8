"""The ranking and where it turns, for any weights and values."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from parity.decision.ranking import Ranking, direction, flip, rank, scores

ARMS = ("binary", "sdk")
VALUES = st.tuples(st.integers(0, 10_000), st.integers(0, 10_000))
FACTORS = st.lists(
    st.tuples(
        st.fractions(0, 20, max_denominator=100),
        VALUES,
        st.sampled_from(["lower", "higher"]),
    ),
    min_size=1,
    max_size=8,
)
TINY = Fraction(1, 10**9)


def ranked(factors: list[tuple[Fraction, tuple[int, int], str]]) -> tuple[dict[str, Fraction], dict, Ranking]:
    weights = {str(number): weight for number, (weight, _, _) in enumerate(factors)}
    scored = {
        str(number): scores(dict(zip(ARMS, values, strict=True)), better)  # type: ignore[arg-type]
        for number, (_, values, better) in enumerate(factors)
    }
    return weights, scored, rank(weights, scored, ARMS)


@settings(deadline=None, max_examples=60)
@given(FACTORS)
def test_past_its_turning_point_a_weight_turns_the_ranking(
    factors: list[tuple[Fraction, tuple[int, int], str]],
) -> None:
    """Just short of the weight that is said the winner stays, at it both are level, just past it the other one wins."""
    weights, scored, ranking = ranked(factors)
    for name, score in scored.items():
        level = flip(ranking, weights[name], score)
        if level is None:
            continue
        assert rank({**weights, name: level}, scored, ARMS).winner is None
        sign = 1 if direction(ranking, score) == "above" else -1
        past, short = level + sign * TINY, level - sign * TINY
        loser = next(arm for arm in ARMS if arm != ranking.winner)
        if past >= 0:
            assert rank({**weights, name: past}, scored, ARMS).winner == loser
        assert rank({**weights, name: short}, scored, ARMS).winner == ranking.winner
        assert (weights[name] < level) == (sign == 1)


@settings(deadline=None, max_examples=60)
@given(FACTORS, st.fractions(0, 1000))
def test_where_nothing_is_said_no_weight_turns_it(
    factors: list[tuple[Fraction, tuple[int, int], str]], other: Fraction
) -> None:
    """Without a turning point the winner wins whatever that weight is."""
    weights, scored, ranking = ranked(factors)
    for name, score in scored.items():
        if ranking.winner and flip(ranking, weights[name], score) is None:
            assert rank({**weights, name: other}, scored, ARMS).winner in (ranking.winner, None)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from(["lower", "higher"]))
def test_scores_say_who_is_better(values: tuple[int, int], better: str) -> None:
    """The better value has 1, an equal one too, and the worse one its part of it, never below 0."""
    one, other = values
    found = scores({"binary": one, "sdk": other}, better)  # type: ignore[arg-type]
    assert max(found.values()) == 1
    assert min(found.values()) >= 0
    assert (found["binary"] > found["sdk"]) == ((one < other) if better == "lower" else (one > other))


def test_twice_the_time_is_half_the_score() -> None:
    """A score is a ratio to the best one."""
    assert scores({"binary": 2.5, "sdk": 5}, "lower") == {"binary": 1, "sdk": Fraction(1, 2)}
    assert scores({"binary": 2.5, "sdk": 5}, "higher") == {"binary": Fraction(1, 2), "sdk": 1}
    assert scores({"binary": 0, "sdk": 5}, "lower") == {"binary": 1, "sdk": 0}


def test_nothing_measured_is_level() -> None:
    """Without factors nobody wins, and nothing turns it."""
    empty = rank({"a": Fraction(1)}, {}, ARMS)
    assert (empty.winner, empty.totals) == (None, {"binary": 0, "sdk": 0})
    assert flip(empty, Fraction(1), {"binary": Fraction(1), "sdk": Fraction(0)}) is None

"""More than two targets: compared with the first, or with what most of them show."""

from __future__ import annotations

from typing import Any

import pytest

from parity.judging.jsondiff import ABSENT
from parity.judging.ledger import Ledger
from parity.judging.verdict import ScenarioVerdict, judge
from parity.report.places import places
from tests.parity.builders import BODY, divergence, observation, scenario


def judged(
    *shown: Any, majority: bool = True, ledger: Ledger | None = None, **expect: Any
) -> ScenarioVerdict:
    """The verdict on targets a, b, c, … that each show a body."""
    names = "abcdef"[: len(shown)]
    seen = [observation("chat.plain", name, json=json) for name, json in zip(names, shown, strict=True)]
    cells = [("chat.plain", name) for name in names]
    verdict = judge(
        cells, seen, [scenario(**expect)], ledger or Ledger(), "mocked", list(names), majority=majority
    )
    return verdict.scenarios[0]


def pairs(verdict: ScenarioVerdict) -> list[tuple[str, str, str, Any, Any]]:
    return [
        (d.left_target, d.right_target, d.path.removeprefix(BODY), d.left, d.right)
        for d in verdict.differences
    ]


def test_the_first_is_the_reference() -> None:
    """Without a majority, whatever isn't like the first target differs, if two others agree or not."""
    found = judged({"x": 1}, {"x": 2}, {"x": 2}, majority=False)
    assert pairs(found) == [("a", "b", ".x", 1, 2), ("a", "c", ".x", 1, 2)]
    assert found.parity_by_target == {"a": "identical", "b": "unexplained", "c": "unexplained"}


def test_the_first_may_be_outvoted() -> None:
    """By majority it is the one that differs, and the others are identical."""
    found = judged({"x": 1}, {"x": 2}, {"x": 2})
    assert pairs(found) == [("b", "a", ".x", 2, 1)]
    assert found.parity_by_target == {"a": "unexplained", "b": "identical", "c": "identical"}


def test_each_place_is_voted_on_alone() -> None:
    """One that is outvoted in one member may be right in another."""
    found = judged({"x": 1, "y": 1}, {"x": 2, "y": 1}, {"x": 2, "y": 3})
    assert pairs(found) == [("b", "a", ".x", 2, 1), ("a", "c", ".y", 1, 3)]


@pytest.mark.parametrize("shown", [[1, 2], [1, 2, 3], [1, 1, 2, 2], [2, 1, 1, 2]])
def test_where_nothing_has_most_voices_the_first_stands(shown: list[int]) -> None:
    """A tie is decided by the order, as if nobody had asked for a majority."""
    bodies = [{"x": value} for value in shown]
    assert pairs(judged(*bodies)) == pairs(judged(*bodies, majority=False))


def test_what_is_absent_has_a_voice() -> None:
    """A member that most don't have is a difference of the one that has it."""
    assert pairs(judged({"x": 1}, {}, {})) == [("b", "a", ".x", ABSENT, 1)]


def test_who_differs_above_has_no_voice_below() -> None:
    """A body of another kind says nothing about the members of the others, and stays different from the first."""
    found = judged({"x": {"y": 1}}, {"x": 7}, {"x": {"y": 2}})
    assert pairs(found) == [("a", "b", ".x", {"y": 1}, 7), ("a", "c", ".x.y", 1, 2)]


def test_the_ledger_goes_by_architecture_whoever_is_left() -> None:
    """An entry explains a difference between its two architectures in either direction."""
    entry = divergence("chat.plain", f"{BODY}.x", values={"a": 1, "b": 2})
    found = judged({"x": 1}, {"x": 2}, {"x": 2}, ledger=Ledger(entries=(entry,)))
    assert found.parity_by_target["a"] == "explained"


def test_all_targets_stand_at_a_place() -> None:
    """Those that agree are shown with the value that they share; one that differs above isn't."""
    [place] = places(judged({"x": 1}, {"x": 2}, {"x": 1}, majority=False))
    assert place.values == {"a": 1, "b": 2, "c": 1}
    above, below = places(judged({"x": {"y": 1}}, {"x": 7}, {"x": {"y": 2}}))
    assert set(above.values) == {"a", "b"}
    assert below.values == {"a": 1, "c": 2}


def test_equal_targets_are_identical() -> None:
    """Nothing to vote on is no difference."""
    found = judged({"x": 1}, {"x": 1}, {"x": 1})
    assert (found.parity, found.differences) == ("identical", ())

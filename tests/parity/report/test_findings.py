from __future__ import annotations

from typing import Any

from parity.judging.verdict import Entry
from parity.report.findings import known, unknown
from parity.report.places import Place
from tests.parity.builders import divergence


def place(scenario: str, path: str = "$.a", *entries: Entry, **rest: Any) -> Place:
    """One at which sdk is right."""
    values = {
        "kind": "body",
        "values": {"binary": 1, "sdk": 2},
        "expected": (2,),
        "clauses": (),
        "wrong": ("binary",),
        "right": ("sdk",),
        "differs": True,
        "unlisted": not entries,
    }
    return Place(scenario=scenario, path=path, entries=entries, **{**values, **rest})


def test_one_reason_is_one_finding() -> None:
    """However many entries of the ledger give it; each probe and version is kept, once."""
    [found] = known(
        [
            place("a.one", "$.a", divergence(probe="look")),
            place("a.two", "$.a", divergence(probe="look", litellm=">=1.107")),
            place("a.two", "$.b", divergence(probe="look again")),
        ]
    )
    assert (found.why, found.winner, found.litellm) == ("LiteLLM does so.", "sdk", (">=1.106.2", ">=1.107"))
    assert found.probes == ("look", "look again")
    assert [p.scenario for p in found.places] == ["a.one", "a.two", "a.two"]


def test_a_reason_that_favours_both_is_two_findings() -> None:
    """Who must choose may not read one target's fault as the other's."""
    found = known(
        [
            place("a.one", "$.a", divergence()),
            place("a.two", "$.a", divergence(), wrong=("sdk",), right=("binary",)),
        ]
    )
    assert [f.winner for f in found] == ["sdk", "binary"]
    assert len({f.key for f in found}) == 2


def test_an_undecided_place_goes_with_its_reason() -> None:
    """Unless the others of this reason disagree."""
    undecided = place("a.open", "$.b", divergence(), wrong=(), right=("binary", "sdk"))
    sdk, binary = (
        place("a.one", "$.a", divergence()),
        place("a.two", "$.a", divergence(), wrong=("sdk",), right=("binary",)),
    )
    assert [f.winner for f in known([undecided])] == ["either"]
    assert [(f.winner, len(f.places)) for f in known([undecided, sdk])] == [("sdk", 2)]
    assert {f.winner for f in known([undecided, sdk, binary])} == {"either", "sdk", "binary"}


def test_the_most_frequent_comes_first() -> None:
    """Counted in scenarios, not in places."""
    found = known(
        [
            *(place("a.one", f"$[{i}]", divergence(why="often in one")) for i in range(5)),
            *(place(f"b.{i}", "$", divergence(why="in many")) for i in range(3)),
        ]
    )
    assert [f.why for f in found] == ["in many", "often in one"]


def test_the_key_is_that_of_the_words() -> None:
    """A link to a reason survives a run in which it has other places."""
    one, other = known([place("a.one", "$.a", divergence())]), known([place("b.two", "$.b", divergence())])
    assert one[0].key == other[0].key
    assert known([place("a.one", "$.a", divergence(why="Another."))])[0].key != one[0].key


def test_what_nothing_explains_is_put_together_by_path_and_culprit() -> None:
    """Differences come before broken clauses, the most frequent first."""
    found = unknown(
        [
            place("a.explained", "$.a", divergence()),
            *(place(f"c.{i}", "$.c", differs=False, kind="contract") for i in range(9)),
            place("a.one", "$.b"),
            place("a.two"),
            place("a.three"),
            place("a.four", wrong=("sdk",), right=("binary",)),
        ]
    )
    assert [(f.state, f.path, f.wrong, len(f.places)) for f in found] == [
        ("unexplained", "$.a", ("binary",), 2),
        ("unexplained", "$.b", ("binary",), 1),
        ("unexplained", "$.a", ("sdk",), 1),
        ("broken", "$.c", ("binary",), 9),
    ]


def test_places_in_a_list_are_one_cause() -> None:
    """Whatever their number; a group at one place keeps its path as it is."""
    found = unknown([place("a.one", "$.x[0].b[10]"), place("a.two", "$.x[1].b[2]"), place("a.one", "$.y[3]")])
    assert [(f.path, len(f.places)) for f in found] == [("$.x[*].b[*]", 2), ("$.y[3]", 1)]

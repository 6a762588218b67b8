from __future__ import annotations

from typing import Any

from parity.judging.jsondiff import ABSENT
from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.observation.model import UpstreamCall
from parity.report.places import Place, places
from tests.parity.builders import BODY, HEADER, divergence, observation, scenario, shortfall


def seen(
    left: dict[str, Any], right: dict[str, Any], *, ledger: Ledger | None = None, **expect: Any
) -> list[Place]:
    """The places of one scenario, played by binary as `left` and by sdk as `right`."""
    observations = [observation(**left), observation(target="sdk", **right)]
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    verdict = judge(cells, observations, [scenario(**expect)], ledger or Ledger(), "mocked")
    return places(verdict.scenarios[0])


def test_difference_and_violation_at_one_path_are_one_place() -> None:
    """It has the value of each target and the wanted one, and knows who is right."""
    [place] = seen({}, {"headers": {"retry-after": "7"}}, headers={"retry-after": "7"})
    assert (place.path, place.kind, place.state) == (HEADER, "header", "unexplained")
    assert place.values == {"binary": ABSENT, "sdk": "7"}
    assert place.expected == ("7",)
    assert (place.wrong, place.right, place.winner) == (("binary",), ("sdk",), "sdk")


def test_the_ledger_makes_it_explained() -> None:
    """Its entry goes with the place."""
    entry = divergence()
    [place] = seen(
        {}, {"headers": {"retry-after": "7"}}, headers={"retry-after": "7"}, ledger=Ledger(entries=(entry,))
    )
    assert (place.state, place.entries, place.winner) == ("explained", (entry,), "sdk")


def test_without_an_expectation_nobody_is_wrong() -> None:
    """Where the scenario wants neither value, the contract leaves it open."""
    [place] = seen({"json": {"a": 1}}, {"json": {"a": 2}})
    assert (place.winner, place.expected, place.state) == ("either", None, "unexplained")


def test_what_breaks_on_both_sides_alike_is_one_place() -> None:
    """The targets agree, both against the contract: a shortfall when the ledger has it."""
    wanted = {"json": {"a": 1}}
    [place] = seen({"json": {"a": 2}}, {"json": {"a": 2}}, **wanted)
    assert (place.kind, place.state, place.winner) == ("contract", "broken", "neither")
    assert place.values == {"binary": 2, "sdk": 2}
    entry = shortfall("chat.plain", f"{BODY}.a", 1, 2)
    [place] = seen({"json": {"a": 2}}, {"json": {"a": 2}}, ledger=Ledger(entries=(entry,)), **wanted)
    assert (place.state, place.entries) == ("excused", (entry,))


def test_a_missing_object_breaks_what_is_expected_in_it() -> None:
    """The difference is the whole object's, the expectation that of a leaf: who is right is known all the same."""
    found = seen({"json": {"a": {"b": 1}}}, {"json": {}}, json={"a": {"b": 1}})
    assert {place.winner for place in found} == {"binary"}


def test_two_things_at_one_path_stay_apart() -> None:
    """The contract counts calls where the difference shows the call; neither value takes the other's place."""
    call = UpstreamCall(route="chat/completions", body={})
    found = seen({"upstream": [call]}, {}, provider={"calls": 1})
    at = [place for place in found if place.path == "$.upstream[0]"]
    assert [(place.kind, set(place.values)) for place in at] == [
        ("upstream", {"binary", "sdk"}),
        ("contract", {"sdk"}),
    ]
    assert all(place.winner == "binary" for place in at)


def test_one_unlisted_voice_is_enough() -> None:
    """A difference that the ledger has, in a value that the contract forbids to both, is not explained."""
    entry = divergence("chat.plain", f"{BODY}.a", values={"binary": 2, "sdk": 3})
    [place] = seen({"json": {"a": 2}}, {"json": {"a": 3}}, json={"a": 1}, ledger=Ledger(entries=(entry,)))
    assert (place.state, place.winner) == ("unexplained", "neither")


def test_a_cell_without_report_is_neither_right_nor_wrong() -> None:
    """Only who was seen can be judged."""
    [scenario_verdict] = judge(
        [("chat.plain", "binary"), ("chat.plain", "sdk")],
        [observation(json={"a": 2})],
        [scenario(json={"a": 1})],
        Ledger(),
        "mocked",
    ).scenarios
    [place] = places(scenario_verdict)
    assert (place.wrong, place.right, place.winner) == (("binary",), (), "neither")

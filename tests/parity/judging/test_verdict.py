from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from parity.catalogue.scenario import Scenario, Tier
from parity.judging.ledger import Ledger, Subject
from parity.judging.verdict import Cell, Verdict, judge
from parity.observation.model import Observation
from tests.parity.builders import BODY, HEADER, call, divergence, observation, scenario, shortfall, stream

BOTH = ("binary", "sdk")
STATUS = "$.exchanges[0].response.status"


def verdict(
    scenarios: list[Scenario],
    seen: list[Observation],
    *entries: Any,
    targets: tuple[str, ...] = BOTH,
    planned: list[tuple[str, str]] | None = None,
    tier: Tier = "mocked",
    **rest: Any,
) -> Verdict:
    """Judge `seen`; planned is every scenario on every target, unless said."""
    cells = planned if planned is not None else [(s.id, t) for s in scenarios for t in targets]
    return judge(cells, seen, scenarios, Ledger(entries=entries), tier, **rest)


def pair(id: str = "chat.plain", *, binary: Any = None, sdk: Any = None) -> list[Observation]:
    return [observation(id, "binary", **(binary or {})), observation(id, "sdk", **(sdk or {}))]


SEVEN = {"headers": {"retry-after": "7"}}


def test_equal_targets_pass() -> None:
    """Nothing differs, the contract is kept: exit code 0 and a line with all counts."""
    found = verdict([scenario(status=200)], pair())
    assert (found.ok, found.exit_code) == (True, 0)
    assert found.line == (
        "PASS mocked binary | sdk: cells 2 planned = 2 reported · scenarios 1 · identical 1 · "
        "explained 0 (0 entries of the ledger) · unexplained 0 · contract broken 0 unexcused, 0 excused · "
        "masked generated-ids 0, metric-samples 0, times 0"
    )


def test_endpoints_outside_are_compared_and_not_judged() -> None:
    """Nothing is expected of a URL's answers, and what went out behind it isn't known: it counts for nothing."""
    seen = [
        observation(target="before", status=500, upstream=[call()]),
        observation(target="after", status=500),
    ]
    targets = ("before", "after")
    gone = shortfall("chat.plain", STATUS, 200, 418)
    found = verdict([scenario(status=200)], seen, gone, targets=targets, outside=targets)
    assert (found.exit_code, found.scenarios[0].parity, found.stale) == (0, "identical", ())
    assert {cell.contract for cell in found.scenarios[0].cells.values()} == {"unjudged"}
    assert " · contract broken 0 unexcused, 0 excused · not judged 2 · " in found.line
    seen[1] = observation(target="after", status=502)
    assert verdict([scenario(status=200)], seen, targets=targets, outside=targets).exit_code == 1


def test_an_endpoint_outside_beside_an_arm() -> None:
    """The arm is judged as ever; only what clients see is compared with the endpoint."""
    seen = [
        observation(target="binary", status=500, upstream=[call()]),
        observation(target="theirs", status=500),
    ]
    found = verdict([scenario(status=200)], seen, targets=("binary", "theirs"), outside={"theirs"})
    (only,) = found.scenarios
    assert (only.parity, found.exit_code) == ("identical", 1)
    assert [cell.contract for cell in only.cells.values()] == ["broken", "unjudged"]


def test_an_unlisted_difference_fails() -> None:
    """Even where the contract says nothing about it."""
    found = verdict([scenario()], pair(sdk=SEVEN))
    assert (found.exit_code, found.scenarios[0].parity) == (1, "unexplained")
    assert [c.contract for c in found.scenarios[0].cells.values()] == ["met", "met"]
    assert "unexplained 1 " in found.line


def test_a_listed_difference_passes_and_is_counted() -> None:
    """The entry stands with the difference, for the report."""
    found = verdict([scenario()], pair(sdk=SEVEN), divergence())
    assert (found.exit_code, found.scenarios[0].parity) == (0, "explained")
    assert found.scenarios[0].differences[0].explained_by == divergence()
    assert "explained 1 (1 entry of the ledger)" in found.line


def test_one_listed_difference_explains_no_other() -> None:
    """A scenario with one known divergence is still watched everywhere else."""
    found = verdict(
        [scenario()], pair(binary={"held_back": 0}, sdk={**SEVEN, "upstream": [call()]}), divergence()
    )
    assert found.scenarios[0].parity == "unexplained"
    assert [d.explained_by is None for d in found.scenarios[0].differences] == [False, True]


def test_a_broken_contract_fails_even_in_unison() -> None:
    """Two targets that are wrong alike are identical, and wrong."""
    found = verdict([scenario(status=429)], pair())
    assert (found.exit_code, found.scenarios[0].parity) == (1, "identical")
    assert "contract broken 2" in found.line


def test_a_shortfall_excuses_both() -> None:
    """What LiteLLM does to both, and the ledger says so, passes."""
    found = verdict([scenario(status=429)], pair(), shortfall("chat.plain", STATUS, 429, 200))
    assert found.exit_code == 0
    assert {c.contract for c in found.scenarios[0].cells.values()} == {"excused"}


def test_a_divergence_excuses_the_lesser_side_at_its_path() -> None:
    """The side that is right has to be right; the other one is excused there, and nowhere else."""
    wanted = scenario(headers={"retry-after": "7"})
    found = verdict([wanted], pair(sdk=SEVEN), divergence())
    assert found.exit_code == 0
    assert [c.contract for c in found.scenarios[0].cells.values()] == ["excused", "met"]

    strict = scenario(headers={"retry-after": "7"}, status=429)
    found = verdict([strict], pair(sdk={**SEVEN, "status": 429}), divergence())
    [status, header] = found.scenarios[0].cells["binary"].violations
    assert (status.path, status.excused_by, header.path, header.excused_by) == (
        STATUS,
        None,
        HEADER,
        divergence(),
    )
    assert found.exit_code == 1


def test_a_divergence_excuses_nobody_when_both_are_wrong() -> None:
    """Neither side may be measured by another that breaks the clause as well."""
    found = verdict([scenario(headers={"retry-after": "9"})], pair(sdk=SEVEN), divergence())
    assert found.scenarios[0].parity == "explained"
    assert {c.contract for c in found.scenarios[0].cells.values()} == {"broken"}


def test_an_entry_that_no_longer_occurs_fails() -> None:
    """Ledgers don't outlive their reasons, whichever kind."""
    short = shortfall("chat.plain", STATUS, 429, 200)
    found = verdict([scenario()], pair(), divergence(), short)
    assert (found.exit_code, found.stale) == (1, (divergence(), short))
    assert "stale 2" in found.line


def test_an_entry_whose_last_day_is_over_fails() -> None:
    """It still says why there is a difference, and the run fails from the day after; one that wasn't used, doesn't."""
    entry = divergence(expires="2027-05-31")
    unused = divergence("chat.other", expires="2027-05-31")
    scenarios = [scenario(), scenario("chat.other")]

    def judged(today: date | None) -> Verdict:
        cells = [("chat.plain", target) for target in BOTH]
        return verdict(scenarios, pair(sdk=SEVEN), entry, unused, planned=cells, today=today)

    assert [judged(day).exit_code for day in (date(2027, 5, 31), None)] == [0, 0]
    found = judged(date(2027, 6, 1))
    assert (found.exit_code, found.expired, found.scenarios[0].parity) == (1, (entry,), "explained")
    assert "expired 1" in found.line


@pytest.mark.parametrize(
    ("ran", "tier", "stale"),
    [
        (["1 binary", "1 sdk", "2 binary", "2 sdk"], "mocked", True),
        (["1 binary", "1 sdk"], "mocked", False),
        (["1 binary", "2 binary"], "mocked", False),
        (["1 binary", "1 sdk", "2 binary", "2 sdk"], "live", False),
    ],
)
def test_staleness_needs_the_whole_picture(ran: list[str], tier: Tier, stale: bool) -> None:
    """Every case of the template has to have run on both targets, in a tier of the entry."""
    cases = [scenario("errors.s[1]"), scenario("errors.s[2]")]
    planned = [(f"errors.s[{case}]", target) for case, target in map(str.split, ran)]
    seen = [observation(i, t, tier=tier) for i, t in planned]
    found = verdict(cases, seen, divergence("errors.s", tiers=["mocked"]), planned=planned, tier=tier)
    assert bool(found.stale) is stale


def test_an_entry_on_a_template_lives_while_one_case_shows_it() -> None:
    """Cases that don't differ are no reason to drop the entry."""
    cases = [scenario("errors.s[1]"), scenario("errors.s[2]")]
    seen = pair("errors.s[1]") + pair("errors.s[2]", sdk=SEVEN)
    found = verdict(cases, seen, divergence("errors.s"))
    assert (found.exit_code, found.stale) == (0, ())


def test_ids_and_times_do_not_make_a_difference() -> None:
    """Observations are normalised before they are compared, and what was masked is counted."""
    bodies = [
        {
            "json": {
                "object": "chat.completion",
                "id": f"chatcmpl-0000000{n}-0000-4000-8000-000000000000",
                "created": n,
            }
        }
        for n in (1, 2)
    ]
    found = verdict([scenario(contains={"created": "<time>"})], pair(binary=bodies[0], sdk=bodies[1]))
    assert (found.exit_code, found.masked) == (0, {"generated-ids": 2, "metric-samples": 0, "times": 2})


def test_the_contract_sees_what_normalising_masks() -> None:
    """A literal `created` is checked against the observed one."""
    body = {"json": {"object": "chat.completion", "created": 5}}
    assert verdict([scenario(contains={"created": 5})], pair(binary=body, sdk=body)).exit_code == 0
    assert verdict([scenario(contains={"created": 6})], pair(binary=body, sdk=body)).exit_code == 1


@pytest.mark.parametrize(
    ("seen", "kind", "cell"),
    [
        (pair()[:1], "missing", Cell(scenario="chat.plain", target="sdk")),
        (
            [*pair(), observation("chat.plain", "other")],
            "unplanned",
            Cell(scenario="chat.plain", target="other"),
        ),
        ([*pair(), *pair("chat.else")[:1]], "unplanned", Cell(scenario="chat.else", target="binary")),
        ([*pair(), *pair()[1:]], "doubled", Cell(scenario="chat.plain", target="sdk")),
        (
            [pair()[0], observation(target="sdk", tier="live")],
            "unplanned",
            Cell(scenario="chat.plain", target="sdk"),
        ),
    ],
)
def test_accounts_that_do_not_close_fail_the_run(seen: list[Observation], kind: str, cell: Cell) -> None:
    """A cell lost, made up, or told twice is named, and the verdict is exit code 2."""
    found = verdict([scenario()], seen)
    assert getattr(found, kind) == (cell,)
    assert found.exit_code == 2
    assert found.line.startswith("INCOMPLETE")
    assert f"{kind} 1" in found.line
    assert f"cells 2 planned ≠ {len(seen)} reported" in found.line


def test_a_missing_cell_is_not_compared() -> None:
    """Its scenario has no parity verdict, and the cell says why."""
    [only] = verdict([scenario()], pair()[:1]).scenarios
    assert (only.parity, only.cells["sdk"].contract, only.ok) == (None, "missing", False)


def test_nothing_planned_is_no_pass() -> None:
    """A selection that matches nothing proves nothing."""
    assert verdict([scenario()], [], planned=[]).exit_code == 2


def test_a_problem_of_the_harness_fails_the_run() -> None:
    """A crash is no pass, even when every cell was reported."""
    found = verdict([scenario()], pair(), problems=["worker gw0 died"])
    assert (found.exit_code, found.problems) == (2, ("worker gw0 died",))
    assert "problems 1" in found.line


def test_one_target_alone_is_judged_by_the_contract() -> None:
    """No second target, no parity: the line says so, and no entry counts as stale."""
    found = verdict([scenario(status=200)], pair()[:1], divergence(), targets=("binary",))
    assert (found.exit_code, found.stale) == (0, ())
    assert "not compared 1" in found.line


NAMED = {"v1": Subject("binary", "1.106.2"), "v2": Subject("binary", "1.110.2")}


def named(*entries: Any, v1: Any = None, v2: Any = None, subjects: Any = None) -> Verdict:
    """Judge two targets that are binary proxies under other names; the contract wants retry-after 7."""
    wanted = [scenario("chat.plain", headers={"retry-after": "7"})]
    seen = [observation(target="v1", **(v1 or {})), observation(target="v2", **(v2 or {}))]
    return verdict(wanted, seen, *entries, targets=("v1", "v2"), subjects=subjects or NAMED)


def test_a_name_keeps_the_excuses_of_its_architecture() -> None:
    """What the ledger says of binary excuses a binary target by another name, though no sdk is compared with it."""
    assert named().exit_code == 1
    found = named(divergence())
    assert (found.exit_code, found.scenarios[0].parity, found.stale) == (0, "identical", ())
    assert [cell.contract for cell in found.scenarios[0].cells.values()] == ["excused", "excused"]
    assert named(divergence(values={"binary": "8", "sdk": "7"})).exit_code == 1
    assert named(divergence(path=BODY)).exit_code == 1


def test_a_version_out_of_the_range_has_no_excuse() -> None:
    """An entry about newer versions doesn't excuse an older one."""
    found = named(divergence(litellm=">=1.108"))
    assert [cell.contract for cell in found.scenarios[0].cells.values()] == ["broken", "excused"]


def test_an_entry_is_stale_only_within_its_range() -> None:
    """What no longer occurs fails the run of a version that the entry is about, and of no other."""
    both = [scenario("chat.plain")]
    entries = (divergence(litellm="<1.108"), shortfall("chat.plain", BODY, "a", "b", litellm=">=1.108"))
    for litellm, stale in (("1.106.2", entries[:1]), ("1.110.2", entries[1:]), (None, entries)):
        subjects = {arm: Subject(arm, litellm) for arm in BOTH}
        assert verdict(both, pair(), *entries, subjects=subjects).stale == stale


def test_a_body_that_is_not_there_is_shown_as_absent() -> None:
    """A divergence on a whole body excuses, too, whether or not there is one."""
    path = "$.exchanges[0].response.json_body"
    entry = divergence(path=path, values={"binary": "<absent>", "sdk": {"a": 1}})
    seen = [observation(target=target) for target in ("v1", "v2")]
    wanted = [scenario("chat.plain", json={"a": 1})]
    found = verdict(wanted, seen, entry, targets=("v1", "v2"), subjects=NAMED)
    assert [cell.contract for cell in found.scenarios[0].cells.values()] == ["excused", "excused"]


def test_each_other_target_is_compared_with_the_first() -> None:
    """With three targets a difference says between which."""
    seen = [*pair(), observation(target="other", headers={"retry-after": "7"})]
    found = verdict([scenario()], seen, targets=(*BOTH, "other"))
    assert [(d.left_target, d.right_target) for d in found.scenarios[0].differences] == [("binary", "other")]


def test_order_of_reports_is_nothing() -> None:
    """Workers finish as they like; the verdict is the same."""
    scenarios = [scenario(f"chat.s{n}") for n in range(6)]
    seen = [
        o for n in range(6) for o in pair(f"chat.s{n}", sdk={"stream": stream(str(n))} if n % 2 else None)
    ]
    shuffled = random.Random(1).sample(seen, len(seen))
    planned = [(s.id, target) for s in scenarios[::-1] for target in BOTH]
    assert verdict(scenarios, seen) == verdict(scenarios[::-1], shuffled, planned=planned)


def test_what_was_planned_has_to_be_known() -> None:
    """A plan that names no scenario, or no target of the run, is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"chat\.gone"):
        verdict([scenario()], [], planned=[("chat.gone", "sdk")])
    with pytest.raises(ValueError, match="sdk"):
        judge([("chat.plain", "sdk")], [], [scenario()], Ledger(), "mocked", targets=["binary"])

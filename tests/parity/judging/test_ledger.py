from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Tier
from parity.judging.contract import Violation
from parity.judging.diff import Difference
from parity.judging.jsondiff import ABSENT
from parity.judging.ledger import BUILT_IN, Ledger, LedgerError, Subject, ledger_schema
from tests.docs.contract import clauses
from tests.parity.builders import BODY, HEADER, divergence, scenario, shortfall

BOTH = (Subject("binary"), Subject("sdk"))

ENTRY = """\
- kind: divergence
  scenario: errors.status[429]
  tiers: [live]
  path: $.exchanges[0].response.headers['retry-after']
  values: {binary: <absent>, sdk: "7"}
  clause: errors.retry-after
  why: The process drops it.
  severity: degraded
  notices: A client comes back too early.
  mended_by: litellm
  upstream: https://github.com/owner/name/issues/12
  expires: 2027-05-31
  litellm: ">=1.106.2"
  probe: curl -si
"""
SHORTFALL = """\
- kind: shortfall
  scenario: streaming.two_choices
  path: $.exchanges[0].response.stream.message.finish_reasons[1]
  expected: stop
  observed: null
  clause: stream.finish
  why: Lost.
  severity: cosmetic
  notices: A client misses it.
  mended_by: provider
  expires: 2027-05-31
  litellm: ">=1.106.2"
  probe: acompletion(n=2)
"""


def load(tmp_path: Path, text: str) -> Ledger:
    file = tmp_path / "ledger.yaml"
    file.write_text(text)
    return Ledger.load(file)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(LedgerError) as caught:
        load(tmp_path, text)
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def difference(**rest: Any) -> Difference:
    return Difference(**{"path": HEADER, "kind": "header", "left": ABSENT, "right": "7", **rest})


def test_a_file_is_read(tmp_path: Path) -> None:
    """Both kinds come as written, tiers are all of them unless said."""
    one, two = load(tmp_path, ENTRY + SHORTFALL).entries
    assert one == divergence(
        "errors.status[429]",
        tiers=["live"],
        clause="errors.retry-after",
        why="The process drops it.",
        notices="A client comes back too early.",
        upstream="https://github.com/owner/name/issues/12",
        expires="2027-05-31",
        probe="curl -si",
    )
    assert (two.kind, two.observed, two.tiers) == ("shortfall", None, ["mocked", "live"])


def examples(tmp_path: Path) -> Ledger:
    """The commented examples at the top of the shipped ledger, the comment signs taken off."""
    header = itertools.takewhile(lambda line: line.startswith("#"), BUILT_IN.read_text().splitlines())
    lines = [line.removeprefix("# ").removeprefix("#") for line in header]
    start = next(i for i, line in enumerate(lines) if line.startswith("- kind"))
    end = max(i for i, line in enumerate(lines) if line.startswith("  probe")) + 1
    return load(tmp_path, "\n".join(lines[start:end]))


def test_the_header_of_the_shipped_ledger_teaches_what_is_read(tmp_path: Path) -> None:
    """The commented examples are a ledger with an entry of each kind."""
    assert [e.kind for e in examples(tmp_path).entries] == ["divergence", "shortfall"]


def test_every_shipped_entry_names_a_scenario(tmp_path: Path) -> None:
    """No entry outlives what it speaks of, and no example speaks of what never was."""
    catalogue = Catalogue.load()
    assert Ledger.load().unknown(catalogue) == []
    assert examples(tmp_path).unknown(catalogue) == []


def test_every_shipped_entry_names_a_clause(tmp_path: Path) -> None:
    """What decides who is right is a sentence of docs/contract.md, in the examples too."""
    entries = (*Ledger.load().entries, *examples(tmp_path).entries)
    known = set(clauses())
    assert [entry.clause for entry in entries if entry.clause not in known] == []


@pytest.mark.parametrize("text", ["", "[]", "# nothing\n"])
def test_an_empty_ledger_is_one(tmp_path: Path, text: str) -> None:
    """Nothing listed is nothing allowed."""
    assert load(tmp_path, text).entries == ()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: divergence", "kind: excuse", "ledger.yaml:1"),
        ("errors.status[429]", "errors.*", "ledger.yaml:2"),
        ("errors.status[429]", "errors", "ledger.yaml:2"),
        ("errors.status[429]", "errors.status[*]", "ledger.yaml:2"),
        ("[live]", "[]", "ledger.yaml:3"),
        ("[live]", "[some]", "ledger.yaml:3"),
        ("$.exchanges[0]", "$.exchanges[*]", "ledger.yaml:4"),
        (".headers['retry-after']", "['headers']['retry-after']", "write the path as $.exch"),
        ('{binary: <absent>, sdk: "7"}', "{binary: 1}", "exactly two architectures, has 1"),
        ("binary: <absent>", 'binary: "7"', "nothing differs"),
        ("why: The process drops it.", "why: ''", "ledger.yaml:7"),
        ("why: The process drops it.", "because: x", "ledger.yaml:7"),
        ("severity: degraded", "severity: bad", "'none', 'cosmetic', 'degraded' or 'broken', not 'bad'"),
        ("severity: degraded", "severity: bad", "ledger.yaml:8"),
        ("notices: A client comes back too early.", "notices: ''", "ledger.yaml:9"),
        ("mended_by: litellm", "mended_by: nobody", "ledger.yaml:10"),
        ("https://github.com/owner/name/issues/12", "see their tracker", "ledger.yaml:11"),
        ("expires: 2027-05-31", "expires: 2027-02-30", "ledger.yaml:12"),
        ("expires: 2027-05-31", "expires: 2027-5-31", "such as 2027-05-31"),
        ('litellm: ">=1.106.2"', 'litellm: "1.106"', "ledger.yaml:13"),
        ("probe: curl -si", "probe: ' '", "ledger.yaml:14"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """Every entry is literal, complete and justified, or the ledger isn't read at all."""
    assert old in ENTRY
    assert any(problem in said for said in problems(tmp_path, ENTRY.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["severity", "notices", "mended_by", "expires"])
def test_no_entry_leaves_out_who_is_hurt_and_how_long(tmp_path: Path, name: str) -> None:
    """Severity, what a client notices, who can mend it and a last day stand in every entry of both kinds."""
    for entry in (ENTRY, SHORTFALL):
        text = "".join(line for line in entry.splitlines(True) if not line.startswith(f"  {name}:"))
        [said] = problems(tmp_path, text)
        assert said.startswith("ledger.yaml:1")
        assert name in said
        assert "is missing" in said


def test_an_entry_lasts_until_its_day_is_over() -> None:
    """On its last day it is allowed, on the next no longer."""
    entry = divergence(expires="2027-05-31")
    assert [entry.expired(date(2027, 5, day)) for day in (30, 31)] == [False, False]
    assert entry.expired(date(2027, 6, 1))


def test_no_shipped_entry_lasts_longer_than_a_year() -> None:
    """Whoever adds one looks at it again: nothing is allowed for good."""
    latest = (date.today() + timedelta(days=366)).isoformat()
    assert {e.scenario for e in Ledger.load().entries if e.expires > latest} == set()


@pytest.mark.parametrize("text", ["entries: []", "- 1", "- [", "'"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, text: str) -> None:
    """Another shape, or no YAML at all, names the file."""
    assert all(said.startswith("ledger.yaml") for said in problems(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A misspelt path is no empty ledger."""
    with pytest.raises(LedgerError, match=r"none\.yaml"):
        Ledger.load(tmp_path / "none.yaml")


def test_a_doubled_entry_is_refused(tmp_path: Path) -> None:
    """Twice the same in one tier is a mistake; other values, or another tier, is not."""
    [said] = problems(tmp_path, ENTRY + ENTRY.replace("[live]", "[mocked, live]"))
    assert said.startswith("ledger.yaml:15")
    assert "line 1" in said
    assert len(load(tmp_path, ENTRY + ENTRY.replace('"7"', '"8"')).entries) == 2
    assert len(load(tmp_path, ENTRY + ENTRY.replace("[live]", "[mocked]")).entries) == 2


@pytest.mark.parametrize(
    ("scenario_id", "tier", "left", "right", "changed", "explained"),
    [
        ("errors.status[429]", "live", "binary", "sdk", {}, True),
        ("errors.status[500]", "live", "binary", "sdk", {}, True),
        ("errors.status", "live", "binary", "sdk", {}, True),
        ("errors.status[429]", "live", "sdk", "binary", {"left": "7", "right": ABSENT}, True),
        ("errors.status[429]", "live", "sdk", "binary", {}, False),
        ("errors.status[429]", "mocked", "binary", "sdk", {}, False),
        ("errors.statuses", "live", "binary", "sdk", {}, False),
        ("errors.status[429]", "live", "binary", "other", {}, False),
        ("errors.status[429]", "live", "binary", "sdk", {"path": BODY}, False),
        ("errors.status[429]", "live", "binary", "sdk", {"right": "8"}, False),
        ("errors.status[429]", "live", "binary", "sdk", {"right": 7}, False),
        ("errors.status[429]", "live", "binary", "sdk", {"left": None}, False),
        ("errors.status[429]", "live", "binary", "sdk", {"left": "<absent>"}, False),
    ],
)
def test_only_the_listed_difference_is_explained(
    scenario_id: str, tier: Tier, left: str, right: str, changed: dict[str, Any], explained: bool
) -> None:
    """Scenario or template, tier, path and the value of each target have to be the listed ones."""
    ledger = Ledger(entries=(divergence("errors.status", tiers=["live"]),))
    found = ledger.explain(difference(**changed), scenario_id, tier, Subject(left), Subject(right))
    assert (found is not None) is explained


def test_an_entry_on_one_case_says_nothing_of_another() -> None:
    """A literal id covers itself alone."""
    ledger = Ledger(entries=(divergence("errors.status[429]"),))
    assert ledger.explain(difference(), "errors.status[429]", "live", *BOTH)
    assert not ledger.explain(difference(), "errors.status[500]", "live", *BOTH)
    assert not ledger.explain(difference(), "errors.status", "live", *BOTH)


@pytest.mark.parametrize(
    ("changed", "excused"),
    [({}, True), ({"path": HEADER}, False), ({"expected": "x"}, False), ({"actual": ABSENT}, False)],
)
def test_only_the_listed_violation_is_excused(changed: dict[str, Any], excused: bool) -> None:
    """A shortfall names path, what was wanted and what is seen instead."""
    ledger = Ledger(entries=(divergence(), shortfall("chat.plain", BODY, "stop", None)))
    violation = Violation(**{"path": BODY, "expected": "stop", "actual": None, **changed})
    assert (ledger.excuse(violation, "chat.plain", "mocked", Subject("sdk")) is not None) is excused
    assert ledger.excuse(violation, "chat.other", "mocked", Subject("sdk")) is None


def test_an_entry_is_about_its_versions() -> None:
    """Outside of its range an entry explains and excuses nothing; of an unknown version it is taken at its word."""
    ledger = Ledger(
        entries=(
            divergence("errors.status[429]", litellm=">=1.106.2,<1.108"),
            shortfall("chat.plain", BODY, "stop", None, litellm=">=1.108"),
        )
    )
    violation = Violation(path=BODY, expected="stop", actual=None)

    def explained(*litellm: str | None) -> bool:
        left, right = (Subject(s.architecture, v) for s, v in zip(BOTH, litellm, strict=True))
        return ledger.explain(difference(), "errors.status[429]", "live", left, right) is not None

    def excused(litellm: str | None) -> bool:
        return ledger.excuse(violation, "chat.plain", "mocked", Subject("sdk", litellm)) is not None

    assert [explained(v, v) for v in ("1.106.2", "1.106.12", "1.108.0", None)] == [True, True, False, True]
    assert not explained("1.106.2", "1.110.2")
    assert [excused(v) for v in ("1.106.2", "1.108.0", "1.110.2", None)] == [False, True, True, True]


def test_unknown_scenarios_are_found() -> None:
    """An entry counts as known by a case, a template, and only in a tier that the scenario has."""
    ledger = Ledger(entries=(*map(divergence, ("a.b", "a.b[c]", "a.x")), divergence("m.o", tiers=["live"])))
    scenarios = [scenario("a.b[c]"), scenario("m.o", tiers=("mocked",))]
    assert [e.scenario for e in ledger.unknown(scenarios)] == ["a.x", "m.o"]


def test_the_schema_knows_both_kinds() -> None:
    """Editors can check a ledger as it is written."""
    assert set(ledger_schema()["$defs"]) == {"Divergence", "Shortfall"}


def test_entries_do_not_change() -> None:
    """What is listed is listed."""
    with pytest.raises(ValidationError):
        divergence().why = "else"  # type: ignore[misc]

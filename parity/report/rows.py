"""Arranges what the page lists: scenarios and themes, over one report or several, and what each place shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import escape

from parity.judging.verdict import ScenarioVerdict, Verdict
from parity.report.excerpt import Run, excerpts
from parity.report.findings import Known, Open
from parity.report.places import Place, places
from parity.report.schema import Report
from parity.report.text import RANKS, cell_word, parity_word, severity

# What is left out is counted, and stands in the JSON report.
MOST_BYTES = 900_000  # of all scenarios' values and their markup
MOST_FINDING_BYTES = 300_000  # the same for the findings
MOST_PLACES = 40  # of one scenario
PLACE_BYTES = 600  # markup around the values of one place
UNSAFE_IN_ANCHOR = re.compile(r"[^\w.\[\]-]", re.ASCII)
STATES = (
    "unexplained",
    "broken",
    "missing",
    "uncompared",
    "explained",
    "excused",
    "identical",
    "met",
    "unjudged",
)
"""The words for scenarios and cells, in the order of a reader's interest."""


@dataclass(frozen=True)
class Side:
    """Holds what one target shows, or the contract wants. `word` says which: keeps, breaks, wants, shows."""

    name: str
    word: str
    runs: list[Run]


@dataclass(frozen=True)
class Detail:
    """Holds one place, side by side, with the ledger's reasons; `tier` where the page has several runs.

    `size` is its estimated size on the page, in bytes.
    """

    place: Place
    sides: list[Side]
    reasons: list[Known]
    tier: str = ""

    @property
    def size(self) -> int:
        texts = [run.text for side in self.sides for run in side.runs] + [
            reason.why for reason in self.reasons
        ]
        return PLACE_BYTES + sum(len(escape(text).encode("utf-8", "backslashreplace")) for text in texts)


@dataclass(frozen=True)
class Shown:
    """Holds a finding, its scenarios, and its first place in full; None when the page is too full."""

    finding: Known | Open
    scenarios: list[str]
    detail: Detail | None

    @property
    def severity(self) -> str:
        return max(
            (severity(entry) for place in self.finding.places for entry in place.entries),
            key=RANKS.index,
            default="",
        )

    @property
    def tiers(self) -> list[str]:
        return list(dict.fromkeys(place.tier for place in self.finding.places))

    @property
    def notices(self) -> str:
        """Return what a client notices, in the ledger's words; empty where it has none."""
        entries = [entry for place in self.finding.places for entry in place.entries]
        return next((said for entry in entries if (said := getattr(entry, "notices", ""))), "")


@dataclass(frozen=True)
class Row:
    """Holds a scenario of the list, over all runs.

    `details` only where it isn't identical and kept, `left_out` those that are too many. `words` has one a column.
    """

    scenario: ScenarioVerdict
    anchor: str
    words: list[str]
    played: list[ScenarioVerdict | None]
    details: list[Detail]
    left_out: int
    missing: list[str]

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(detail.place.kind for detail in self.details))

    @property
    def states(self) -> list[str]:
        words = {word if word != "–" else "uncompared" for word in self.words}
        return [state for state in STATES if state in words]

    @property
    def ok(self) -> bool:
        return all(scenario is None or scenario.ok for scenario in self.played)


@dataclass(frozen=True)
class Counts:
    """Holds the numbers of one theme in one run: by target how many cells are kept, excused and judged."""

    ok: dict[str, tuple[int, int, int]]
    parity: Counter[str]


@dataclass(frozen=True)
class Theme:
    """Holds the scenarios of one theme, and their numbers run by run."""

    name: str
    anchor: str
    rows: list[Row]
    cells: int
    counts: list[Counts]

    @property
    def parity(self) -> Counter[str]:
        return sum((count.parity for count in self.counts), Counter[str]())


def rows_of(reports: Sequence[Report], reasons: Sequence[Known], anchors: dict[str, str]) -> dict[str, Row]:
    """Return a row for each scenario that any of the reports has, by its id."""
    by_place: dict[tuple[str, str, str], list[Known]] = {}
    for reason in reasons:
        for place in reason.places:
            by_place.setdefault((place.tier, place.scenario, place.path), []).append(reason)
    index = [{s.id: s for s in report.verdict.scenarios} for report in reports]
    played = {name: [found.get(name) for found in index] for name in anchors}
    left = MOST_BYTES
    details: dict[str, list[Detail]] = {}
    left_out: dict[str, int] = {}
    failing_last = {name: all(s is None or s.ok for s in each) for name, each in played.items()}
    for name in sorted(anchors, key=lambda name: failing_last[name]):  # what fails the run comes first
        kept = details[name] = []
        found = [(r, p) for r, s in zip(reports, played[name], strict=True) if s for p in report_places(r, s)]
        for report, place in found[:MOST_PLACES]:
            tier = report.verdict.tier if len(reports) > 1 else ""
            own = by_place.get((place.tier, place.scenario, place.path), []) if place.entries else []
            detail = Detail(place, sides_of(place, report.verdict.targets), own, tier)
            left -= detail.size
            if left < 0:
                break
            kept.append(detail)
        left_out[name] = len(found) - len(kept)
    return {
        name: Row(
            scenario=next(s for s in each if s),
            anchor=anchors[name],
            words=[word for r, s in zip(reports, each, strict=True) for word in _words(r.verdict, s)],
            played=each,
            details=details[name],
            left_out=left_out[name],
            missing=[t for s in each if s for t, cell in s.cells.items() if cell.contract == "missing"],
        )
        for name, each in played.items()
    }


def report_places(report: Report, scenario: ScenarioVerdict) -> list[Place]:
    """Return the places of a scenario, each with the tier it was seen in."""
    return [replace(place, tier=report.verdict.tier) for place in places(scenario)]


def _words(verdict: Verdict, scenario: ScenarioVerdict | None) -> list[str]:
    if scenario is None:
        return [""] * (len(verdict.targets) + 1)
    return [*(cell_word(scenario, target) for target in verdict.targets), parity_word(scenario)]


def sides_of(place: Place, targets: Iterable[str]) -> list[Side]:
    """Return each target's value next to the other's, and the one that the contract wants."""
    shown = [target for target in targets if target in place.values]
    runs = dict(zip(shown, excerpts([place.values[target] for target in shown]), strict=True))
    sides = []
    for target in targets:
        word = "keeps" if place.wrong else "shows"
        if target in place.wrong:
            word = "breaks" if place.unlisted else "excused-side"
        if target in runs:
            sides.append(Side(target, word, runs[target]))
        elif target in place.right and place.expected is not None:
            sides.append(Side(target, word, [Run("note", "as the contract wants")]))
    if place.expected is not None:
        sides.append(Side("contract", "wants", excerpts(place.expected)[0]))
    return sides


def theme(name: str, rows: list[Row], reports: Sequence[Report]) -> Theme:
    """Count a theme's rows, run by run."""
    return Theme(
        name=name,
        anchor="theme-" + UNSAFE_IN_ANCHOR.sub("_", name),
        rows=rows,
        cells=sum(len(scenario.cells) for row in rows for scenario in row.played if scenario),
        counts=[
            _counts(report.verdict.targets, [row.played[n] for row in rows])
            for n, report in enumerate(reports)
        ],
    )


def _counts(targets: Sequence[str], scenarios: Sequence[ScenarioVerdict | None]) -> Counts:
    played = [scenario for scenario in scenarios if scenario is not None]
    ok = {}
    for target in targets:
        words = Counter(s.cells[target].contract for s in played if target in s.cells)
        judged = sum(words.values()) - words["unjudged"]
        ok[target] = (words["met"] + words["excused"], words["excused"], judged)
    return Counts(ok, Counter(str(s.parity) for s in played))


def by_state(rows: Iterable[Row]) -> dict[str, int]:
    """Count the scenarios in each state, in the order of a reader's interest."""
    counted = Counter(state for row in rows for state in row.states)
    return {state: counted[state] for state in STATES if counted[state]}


def by_winner(shown: Iterable[Shown], targets: Sequence[str]) -> dict[str, list[Shown]]:
    """Order the winners: single targets in their order, then any other set of them, then neither and either.

    Within one, what hurts a client most comes first, where the ledger says so.
    """
    groups: dict[str, list[Shown]] = {}
    for one in shown:
        if isinstance(one.finding, Known):
            groups.setdefault(one.finding.winner, []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: -RANKS.index(one.severity))
    last = ("neither", "either")
    rest = sorted(winner for winner in groups if winner not in (*targets, *last))
    return {winner: groups[winner] for winner in (*targets, *rest, *last) if winner in groups}


def findings(found: Iterable[Known | Open], targets: Sequence[str]) -> list[Shown]:
    """Return each finding with its first place in full, as long as the page has room."""
    left = MOST_FINDING_BYTES
    shown = []
    for finding in found:
        detail = Detail(finding.places[0], sides_of(finding.places[0], targets), [])
        left -= detail.size
        scenarios = list(dict.fromkeys(place.scenario for place in finding.places))
        shown.append(Shown(finding, scenarios, detail if left >= 0 else None))
    return shown

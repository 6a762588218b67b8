"""Renders the report as one HTML page that needs nothing else: no network, no other file, no script to be
read.

The page is `page/page.html.jinja` with its style and script put in. Every text from outside is escaped by the template
engine, and the page's own policy lets a browser run and load nothing but that style and that script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from parity.judging.verdict import ScenarioVerdict, Verdict
from parity.report.excerpt import Run, excerpts
from parity.report.findings import Known, Open, known, unknown
from parity.report.places import Place, places
from parity.report.schema import Report
from parity.report.text import by_theme, cell_word, parity_word, stale, unaccounted
from proxies.support.terminal import printable

FOLDER = Path(__file__).with_name("page")
# What is left out is counted, and stands in the JSON report.
MOST_BYTES = 900_000  # of all scenarios' values and their markup
MOST_FINDING_BYTES = 300_000  # the same for the findings
MOST_PLACES = 40  # of one scenario
PLACE_BYTES = 600  # markup around the values of one place

KINDS = {
    "missing": "missing exchange",
    "status": "status",
    "header": "response header",
    "body": "response body",
    "message": "what the stream says",
    "frame": "stream frame",
    "framing": "how the stream is cut",
    "upstream": "what went upstream",
    "effect": "side effect",
    "contract": "contract",
}
_UNSAFE_IN_ANCHOR = re.compile(r"[^\w.\[\]-]", re.ASCII)


@dataclass(frozen=True)
class Side:
    """Holds what one target shows, or the contract wants. `word` says which: keeps, breaks, wants, shows."""

    name: str
    word: str
    runs: list[Run]


@dataclass(frozen=True)
class Detail:
    """Holds one place, side by side, with the ledger's reasons; `size` is its estimated size on the page, in
    bytes.
    """

    place: Place
    sides: list[Side]
    reasons: list[Known]

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


@dataclass(frozen=True)
class Row:
    """Holds a scenario of the list.

    `details` only where it isn't identical and kept, `left_out` those that are too many.
    """

    scenario: ScenarioVerdict
    anchor: str
    words: list[str]
    details: list[Detail]
    left_out: int
    missing: list[str]

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(detail.place.kind for detail in self.details))

    @property
    def states(self) -> list[str]:
        return list(dict.fromkeys(word if word != "–" else "uncompared" for word in self.words))


@dataclass(frozen=True)
class Theme:
    name: str
    anchor: str
    rows: list[Row]
    cells: int
    ok: dict[str, tuple[int, int]]
    parity: Counter[str]


def render(report: Report) -> str:
    """Render the whole page; equal reports make equal bytes."""
    verdict = report.verdict
    environment = _environment()
    style, script = (environment.get_template(name).render() for name in ("page.css", "page.js"))
    found = {scenario.id: places(scenario) for scenario in verdict.scenarios}
    everything = [place for scenario in verdict.scenarios for place in found[scenario.id]]
    reasons = known(everything)
    anchors = _anchors(verdict)
    rows = _rows(verdict, found, reasons, anchors)
    themes = [
        _theme(name, [rows[s.id] for s in scenarios], verdict)
        for name, scenarios in by_theme(verdict).items()
    ]
    return environment.get_template("page.html.jinja").render(
        report=report,
        verdict=verdict,
        word={0: "pass", 1: "fail", 2: "incomplete"}[verdict.exit_code],
        style=style,
        script=script,
        policy=_policy(style, script),
        themes=themes,
        total=_theme("all themes", list(rows.values()), verdict),
        states=_states(rows.values()),
        contract=Counter(cell.contract for s in verdict.scenarios for cell in s.cells.values()),
        unaccounted=unaccounted(verdict),
        stale=stale(verdict),
        unknown=_findings(unknown(everything), verdict.targets),
        winners=_by_winner(_findings(reasons, verdict.targets), verdict),
        anchors=anchors,
        kinds=KINDS,
    )


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )


def _final(value: Any) -> Any:
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def _policy(style: str, script: str) -> str:
    """Build the page's Content-Security-Policy: nothing is loaded, and only its own script and style are
    used.
    """
    allowed = {
        name: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in (("style-src", style), ("script-src", script))
    }
    sources = [f"{name} '{digest}'" for name, digest in allowed.items()]
    return "; ".join(
        ["default-src 'none'", *sources, "img-src data:", "base-uri 'none'", "form-action 'none'"]
    )


def _anchors(verdict: Verdict) -> dict[str, str]:
    """Return each scenario's anchor: its id, as far as a fragment may hold it.

    No two are alike, nor like one of the page's own.
    """
    taken: set[str] = set()
    anchors: dict[str, str] = {}
    for scenario in verdict.scenarios:
        base = anchor = _UNSAFE_IN_ANCHOR.sub("_", scenario.id)
        number = 1
        while anchor in taken or "." not in anchor:
            number += 1
            anchor = f"{base}.{number}"
        taken.add(anchor)
        anchors[scenario.id] = anchor
    return anchors


def _rows(
    verdict: Verdict, found: dict[str, list[Place]], reasons: Sequence[Known], anchors: dict[str, str]
) -> dict[str, Row]:
    by_place: dict[int, list[Known]] = {}  # by id(): a place holds dicts, so it has no hash
    for reason in reasons:
        for place in reason.places:
            by_place.setdefault(id(place), []).append(reason)
    left = MOST_BYTES
    details: dict[str, list[Detail]] = {}
    for scenario in sorted(verdict.scenarios, key=lambda s: s.ok):  # what fails the run comes first
        kept = details[scenario.id] = []
        for place in found[scenario.id][:MOST_PLACES]:
            detail = Detail(place, _sides(place, verdict.targets), by_place.get(id(place), []))
            left -= detail.size
            if left < 0:
                break
            kept.append(detail)
    return {
        s.id: Row(
            scenario=s,
            anchor=anchors[s.id],
            words=[*(cell_word(s, target) for target in verdict.targets), parity_word(s)],
            details=details[s.id],
            left_out=len(found[s.id]) - len(details[s.id]),
            missing=[target for target, cell in s.cells.items() if cell.contract == "missing"],
        )
        for s in verdict.scenarios
    }


def _size(detail: Detail) -> int:
    texts = [run.text for side in detail.sides for run in side.runs] + [
        reason.why for reason in detail.reasons
    ]
    return PLACE_BYTES + sum(len(escape(text).encode("utf-8", "backslashreplace")) for text in texts)


def _sides(place: Place, targets: Iterable[str]) -> list[Side]:
    shown = [target for target in targets if target in place.values]
    runs = dict(zip(shown, excerpts([place.values[target] for target in shown]), strict=True))
    sides = []
    for target in targets:
        word = "breaks" if target in place.wrong else "keeps" if place.wrong else "shows"
        if target in runs:
            sides.append(Side(target, word, runs[target]))
        elif target in place.right and place.expected is not None:
            sides.append(Side(target, word, [Run("note", "as the contract wants")]))
    if place.expected is not None:
        sides.append(Side("contract", "wants", excerpts(place.expected)[0]))
    return sides


def _theme(name: str, rows: list[Row], verdict: Verdict) -> Theme:
    ok = {}
    for target in verdict.targets:
        cells = [row.scenario.cells[target].contract for row in rows if target in row.scenario.cells]
        cells = [word for word in cells if word != "unjudged"]
        ok[target] = (sum(word in ("met", "excused") for word in cells), len(cells))
    return Theme(
        name=name,
        anchor="theme-" + _UNSAFE_IN_ANCHOR.sub("_", name),
        rows=rows,
        cells=sum(len(row.scenario.cells) for row in rows),
        ok=ok,
        parity=Counter(str(row.scenario.parity) for row in rows),
    )


def _states(rows: Iterable[Row]) -> dict[str, int]:
    """Count the scenarios in each state, in the order of a reader's interest."""
    counted = Counter(state for row in rows for state in row.states)
    order = (
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
    return {state: counted[state] for state in order if counted[state]}


def _by_winner(shown: Iterable[Shown], verdict: Verdict) -> dict[str, list[Shown]]:
    """Order the winners: single targets in their order, then any other set of them, then neither and either."""
    groups: dict[str, list[Shown]] = {}
    for one in shown:
        if isinstance(one.finding, Known):
            groups.setdefault(one.finding.winner, []).append(one)
    last = ("neither", "either")
    rest = sorted(winner for winner in groups if winner not in (*verdict.targets, *last))
    return {winner: groups[winner] for winner in (*verdict.targets, *rest, *last) if winner in groups}


def _findings(findings: Iterable[Known | Open], targets: tuple[str, ...]) -> list[Shown]:
    left = MOST_FINDING_BYTES
    shown = []
    for finding in findings:
        detail = Detail(finding.places[0], _sides(finding.places[0], targets), [])
        left -= detail.size
        scenarios = list(dict.fromkeys(place.scenario for place in finding.places))
        shown.append(Shown(finding, scenarios, detail if left >= 0 else None))
    return shown

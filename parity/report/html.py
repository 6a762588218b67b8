"""Renders the report as one HTML page that needs nothing else: no network, no other file, no script to be
read.

The page is `page/page.html.jinja` with its style and script put in. Every text from outside is escaped by the template
engine, and the page's own policy lets a browser run and load nothing but that style and that script.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from parity.report.findings import known, unknown
from parity.report.rows import (
    UNSAFE_IN_ANCHOR,
    Row,
    by_state,
    by_winner,
    findings,
    report_places,
    rows_of,
    theme,
)
from parity.report.schema import Report
from parity.report.text import stale, unaccounted
from parity.support import templates
from proxies.support.terminal import printable

FOLDER = Path(__file__).with_name("page")
LONGEST_JSON = 4_000  # characters of a scenario's evidence that stand in the page as they are
MOST_EVIDENCE = 40_000_000  # characters of all evidence; what fails comes first

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


def render(report: Report) -> str:
    """Render the whole page of one report; equal reports make equal bytes."""
    return render_all([report])


def render_all(reports: Sequence[Report], decision: Markup | None = None, decision_style: str = "") -> str:
    """Render one page of several reports, such as one of each tier.

    `decision` is a section that stands first, right after the verdict, escaped already, and `decision_style` its style.
    """
    environment = templates.environment(FOLDER)
    style, script = (environment.get_template(name).render() for name in ("page.css", "page.js"))
    style += decision_style
    everything = [p for r in reports for s in r.verdict.scenarios for p in report_places(r, s)]
    reasons = known(everything)
    anchors = _anchors(reports)
    rows = rows_of(reports, reasons, anchors)
    names = dict.fromkeys(row.scenario.theme for row in rows.values())
    targets = list(dict.fromkeys(target for report in reports for target in report.verdict.targets))
    worst = max(reports, key=lambda report: report.verdict.exit_code)
    return environment.get_template("page.html.jinja").render(
        reports=reports,
        several=len(reports) > 1,
        verdict=worst.verdict,
        decision=decision,
        targets=targets,
        columns=[name for r in reports for name in _columns(r, len(reports) > 1)],
        words=[_WORDS[report.verdict.exit_code] for report in reports],
        word=_WORDS[worst.verdict.exit_code],
        style_text=Markup(style),  # noqa: S704 - both are the project's own files
        script_text=Markup(script),  # noqa: S704
        policy=_policy(style, script),
        themes=[theme(n, [r for r in rows.values() if r.scenario.theme == n], reports) for n in names],
        total=theme("all themes", list(rows.values()), reports),
        states=by_state(rows.values()),
        contract=[
            Counter(cell.contract for s in report.verdict.scenarios for cell in s.cells.values())
            for report in reports
        ],
        unaccounted=[said for report in reports for said in unaccounted(report.verdict)],
        stale=list(dict.fromkeys(said for report in reports for said in stale(report.verdict))),
        unknown=findings(unknown(everything), targets),
        winners=by_winner(findings(reasons, targets), targets),
        unseen=next((r for r in reports if r.unseen), None)
        if "live" not in [r.verdict.tier for r in reports]
        else None,
        anchors=anchors,
        evidence=_evidence(reports, rows),
        kinds=KINDS,
    )


def _columns(report: Report, several: bool) -> list[str]:
    """Name the columns of a report: each target, then parity."""
    tier = f"{report.verdict.tier} " if several else ""
    return [*(f"{tier}{target}" for target in report.verdict.targets), f"{tier}parity" if several else ""]


_WORDS = {0: "pass", 1: "fail", 2: "incomplete"}


def _evidence(reports: Sequence[Report], rows: Mapping[str, Row]) -> dict[str, Markup]:
    """Return each scenario's evidence as JSON that can stand in a script element, by its anchor."""
    left = MOST_EVIDENCE
    found = {}
    for name, row in sorted(rows.items(), key=lambda item: item[1].ok):
        runs = [
            {"tier": report.verdict.tier, "targets": report.verdict.targets, **one.model_dump(mode="json")}
            for report in reports
            if (one := report.evidence.get(name)) is not None
        ]
        if not runs:
            continue
        said = {"id": name, "title": row.scenario.title, "clauses": row.scenario.clauses, "runs": runs}
        text = embedded(said)
        left -= len(text)
        if left >= 0:
            found[row.anchor] = text
    return {row.anchor: found[row.anchor] for row in rows.values() if row.anchor in found}


def embedded(value: Any) -> Markup:
    """Write JSON that ends no script element and hides nothing: what can't be seen is spelled out as an escape.

    What is long is compressed, and written in base64.
    """
    text = json.dumps(_spelled(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    if len(text) > LONGEST_JSON:
        return Markup(base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode())  # noqa: S704 - base64
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - every character that HTML reads is an escape of JSON


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value


def _policy(style: str, script: str) -> str:
    """Build the page's Content-Security-Policy: nothing is loaded, and only its own script and style are
    used.
    """
    allowed = {name: templates.digest(text) for name, text in (("style-src", style), ("script-src", script))}
    sources = [f"{name} '{digest}'" for name, digest in allowed.items()]
    return "; ".join(
        ["default-src 'none'", *sources, "img-src data:", "base-uri 'none'", "form-action 'none'"]
    )


def _anchors(reports: Sequence[Report]) -> dict[str, str]:
    """Return each scenario's anchor: its id, as far as a fragment may hold it.

    No two are alike, nor like one of the page's own.
    """
    taken: set[str] = set()
    anchors: dict[str, str] = {}
    for name in sorted({scenario.id for report in reports for scenario in report.verdict.scenarios}):
        base = anchor = UNSAFE_IN_ANCHOR.sub("_", name)
        number = 1
        while anchor in taken or "." not in anchor:
            number += 1
            anchor = f"{base}.{number}"
        taken.add(anchor)
        anchors[name] = anchor
    return anchors

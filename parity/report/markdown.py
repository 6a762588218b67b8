"""Renders the report as Markdown, for a pull request: the verdict, what nothing explains, and the rest folded.

Hosts cut a comment at 65,536 characters, so it is shorter, whatever the run; what is left out is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from parity.judging.verdict import JudgedDifference, JudgedViolation, ScenarioVerdict, Verdict
from parity.report.findings import known
from parity.report.places import places
from parity.report.schema import Report
from parity.report.text import apart_word, by_theme, cell_word, parity_word, shown, stale, unaccounted
from proxies.support.terminal import printable

MOST_DETAILS = 40  # differences and violations written out
MOST_CAUSES = 40  # reasons of the ledger
MOST_ROWS = 40  # scenarios that aren't identical and kept
MOST_SENTENCES = 40  # of why a run isn't whole
LONGEST_VALUE = 300
LONGEST = 60_000

_MARKS = {
    "met": "✅",
    "identical": "✅",
    "excused": "🟡 excused",
    "explained": "🟡 explained",
    "broken": "❌ broken",
    "unexplained": "❌ unexplained",
    "missing": "❌ missing",
    "unjudged": "–",
}
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~@])")


def render(report: Report) -> str:
    """Render the text; equal reports make equal bytes."""
    verdict = report.verdict
    parts = [f"# Parity: {_word(verdict)}", _text(verdict.line)]
    parts += _list("The run isn't whole", unaccounted(verdict))
    parts += _unexplained(verdict)
    parts += _list("Ledger out of date", stale(verdict))
    parts += _unseen(report)
    folded = [*_themes(verdict), *_explained(verdict), _made_of(report)]
    text = "\n\n".join(parts)
    for part in folded:
        if len(text) + len(part) < LONGEST:
            text += f"\n\n{part}"
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n… the rest is in the JSON report."
    return text + "\n"


def _word(verdict: Verdict) -> str:
    return {0: "✅ pass", 1: "❌ fail", 2: "⚠️ incomplete"}[verdict.exit_code]


def _themes(verdict: Verdict) -> list[str]:
    """Count each theme in a folded table, then name the scenarios that aren't identical and kept."""
    head = ["theme", "scenarios", "identical", "explained", "unexplained", *map(_text, verdict.targets)]
    rows = [head, ["---"] * len(head)]
    for theme, scenarios in by_theme(verdict).items():
        parity = [str(scenario.parity) for scenario in scenarios]
        kept = [_kept(scenarios, target) for target in verdict.targets]
        counts = [str(parity.count(word)) for word in head[2:5]]
        rows.append([_text(theme), str(len(scenarios)), *counts, *kept])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    summary = f"{len(verdict.scenarios)} scenarios in {len(rows) - 2} themes"
    return [_fold(summary, [table, *_table(verdict)])] if verdict.scenarios else []


def _kept(scenarios: Iterable[ScenarioVerdict], target: str) -> str:
    """Count the cells that keep the contract, those that are excused, and those that are neither."""
    words = [cell_word(scenario, target) for scenario in scenarios]
    return (
        ", ".join(f"{words.count(w)} {w}" for w in ("met", "excused", "broken", "missing") if w in words)
        or "–"
    )


def _table(verdict: Verdict) -> list[str]:
    head = ["scenario", *map(_text, verdict.targets), "parity"]
    rows = []
    for scenario in verdict.scenarios:
        words = [*(cell_word(scenario, t) for t in verdict.targets), parity_word(scenario)]
        if set(words) - {"met", "identical", "unjudged"}:
            cells = [_cell(verdict, scenario, target) for target in verdict.targets]
            word = words[-1]
            rows.append([_code(scenario.id).replace("|", "\\|"), *cells, _MARKS.get(word, word)])
    if not rows:
        return []
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows[:MOST_ROWS]])
    return [table, *([f"… and {len(rows) - MOST_ROWS} more scenarios."] if len(rows) > MOST_ROWS else [])]


def _fold(summary: str, parts: list[str]) -> str:
    return "\n\n".join([f"<details>\n<summary>{_text(summary)}</summary>", *parts, "</details>"])


def _unseen(report: Report) -> list[str]:
    """Say what this tier can't see, clause by clause, and which command shows it."""
    if not report.unseen:
        return []
    known = sum(one.entries for one in report.unseen)
    clauses = ", ".join(_code(one.clause) for one in report.unseen[:MOST_ROWS])
    tier = report.verdict.tier
    return [
        f"The {tier} tier can't see {known} differences that the ledger knows, nor all of these clauses: {clauses}. "
        f"`parity run --tier live -n auto` shows them."
    ]


def _cell(verdict: Verdict, scenario: ScenarioVerdict, target: str) -> str:
    word = cell_word(scenario, target)
    apart = {"differs": "≠", "explained": "≈"}.get(apart_word(verdict, scenario, target), "")
    return f"{_MARKS.get(word, word)} {apart}".rstrip()


def _unexplained(verdict: Verdict) -> list[str]:
    details: list[tuple[ScenarioVerdict, str]] = []
    for scenario in verdict.scenarios:
        for target, cell in scenario.cells.items():
            details += [(scenario, _violation(target, v)) for v in cell.violations if v.excused_by is None]
        details += [(scenario, _difference(d)) for d in scenario.differences if d.explained_by is None]
    if not details:
        return []
    parts = ["## Unexplained"]
    last = ""
    for scenario, detail in details[:MOST_DETAILS]:
        if scenario.id != last:
            parts.append(f"### {_code(scenario.id)}\n\n{_text(scenario.title)}")
            last = scenario.id
        parts.append(detail)
    if len(details) > MOST_DETAILS:
        parts.append(f"… and {len(details) - MOST_DETAILS} more, in the JSON report.")
    return parts


def _explained(verdict: Verdict) -> list[str]:
    """List what the ledger allows, a reason at a time, in a folded section."""
    found = known(place for scenario in verdict.scenarios for place in places(scenario))
    items = []
    for reason in found[:MOST_CAUSES]:
        scenarios = list(dict.fromkeys(place.scenario for place in reason.places))
        more = f" and {len(scenarios) - 3} more" if len(scenarios) > 3 else ""
        first = reason.places[0]
        lines = [
            f"- {reason.kind} ({_text(reason.clause)}), LiteLLM {_code(', '.join(reason.litellm))}: "
            f"{_text(reason.why)}",
            f"  - in {', '.join(map(_code, scenarios[:3]))}{more}, at {_code(first.path)}",
            *(f"  - {_text(target)}: {_code(_shown(value))}" for target, value in first.values.items()),
            f"  - probe: {_code(reason.probes[0])}",
        ]
        items.append("\n".join(lines))
    if len(found) > MOST_CAUSES:
        items.append(f"… and {len(found) - MOST_CAUSES} more reasons, in the JSON report.")
    excused = sum(cell.contract == "excused" for s in verdict.scenarios for cell in s.cells.values())
    explained = sum(scenario.parity == "explained" for scenario in verdict.scenarios)
    summary = (
        f"Explained or excused by the ledger: {_count(verdict.ledger_entries)}, "
        f"{explained} scenarios explained, {excused} cells excused"
    )
    return [_fold(summary, items)] if items else []


def _difference(found: JudgedDifference) -> str:
    return (
        f"- {found.kind} at {_code(found.path)}\n"
        f"  - {_text(found.left_target)}: {_code(_shown(found.left))}\n"
        f"  - {_text(found.right_target)}: {_code(_shown(found.right))}"
    )


def _violation(target: str, found: JudgedViolation) -> str:
    clauses = f" ({', '.join(map(_text, found.clauses))})" if found.clauses else ""
    return (
        f"- {_text(target)} breaks the contract, unexcused{clauses}, at {_code(found.path)}\n"
        f"  - expected: {_code(_shown(found.expected))}\n"
        f"  - actual: {_code(_shown(found.actual))}"
    )


def _shown(value: Any) -> str:
    return shown(value, LONGEST_VALUE)


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


def _made_of(report: Report) -> str:
    rules = [f"| {r.name} | {r.masked} | {_text(r.description)} |" for r in report.rules]
    table = "\n".join(["| rule | masked | what |", "| --- | --- | --- |", *rules])
    versions = [
        f"- {_text(target)}: {_text(', '.join(f'{name} {v}' for name, v in found.items())) or 'unknown'}"
        for target, found in report.versions.items()
    ]
    made = "\n".join([*versions, f"- catalogue {_code(report.catalogue)}"])
    return _fold("How it was compared", [table, made])


def _list(title: str, sentences: list[str]) -> list[str]:
    told = [f"- {_text(s)[:1000]}" for s in sentences[:MOST_SENTENCES]]
    if len(sentences) > MOST_SENTENCES:
        told.append(f"- … and {len(sentences) - MOST_SENTENCES} more, in the JSON report")
    return [f"## {title}", "\n".join(told)] if sentences else []


def _text(text: str) -> str:
    """Escape prose into one line, with nothing in it that Markdown, HTML or a mention would act upon."""
    return _ACTIVE.sub(r"\\\1", printable(" ".join(text.split())))


def _code(text: str) -> str:
    """Write a code span that holds anything: its fence is longer than any run of backticks inside."""
    text = printable(" ".join(text.splitlines()))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not text or longest or text[0] == " " or text[-1] == " " else ""
    return f"{fence}{pad}{text or ' '}{pad}{fence}"

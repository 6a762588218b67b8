"""Renders the report as Markdown, for a pull request: verdict, table, and each difference with both values."""

from __future__ import annotations

import re
from collections.abc import Iterable

from parity.judging.ledger import Divergence, Shortfall
from parity.judging.verdict import JudgedDifference, JudgedViolation, ScenarioVerdict, Verdict
from parity.report.schema import Report
from parity.report.text import apart_word, by_theme, cell_word, parity_word, shown, stale, unaccounted
from proxies.support.terminal import printable

MOST_DETAILS = 100  # differences and violations written out; hosts cut comments at 65,536 characters

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
    verdict = report.verdict
    parts = [f"# Parity: {_word(verdict)}", _text(verdict.line)]
    parts += _list("The run isn't whole", unaccounted(verdict))
    parts += _unexplained(verdict)
    parts += _list("Stale ledger entries", stale(verdict))
    for theme, scenarios in by_theme(verdict).items():
        parts += [f"## {_text(theme)}", _table(scenarios, verdict)]
    parts += _explained(verdict)
    parts.append(_made_of(report))
    return "\n\n".join(parts) + "\n"


def _word(verdict: Verdict) -> str:
    return {0: "✅ pass", 1: "❌ fail", 2: "⚠️ incomplete"}[verdict.exit_code]


def _table(scenarios: Iterable[ScenarioVerdict], verdict: Verdict) -> str:
    head = ["scenario", *map(_text, verdict.targets), "parity"]
    rows = [head, ["---"] * len(head)]
    for scenario in scenarios:
        cells = [_cell(verdict, scenario, target) for target in verdict.targets]
        word = parity_word(scenario)
        rows.append([_code(scenario.id).replace("|", "\\|"), *cells, _MARKS.get(word, word)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


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
    """List what the ledger allows, with its reasons, in a folded section."""
    items: list[str] = []
    for scenario in verdict.scenarios:
        said = [f"{_difference(d)}\n{_entry(d.explained_by)}" for d in scenario.differences if d.explained_by]
        for target, cell in scenario.cells.items():
            said += [
                f"{_violation(target, v)}\n{_entry(v.excused_by)}" for v in cell.violations if v.excused_by
            ]
        if said:
            items.append(f"#### {_code(scenario.id)}")
            items += said
    if not items:
        return []
    if len(items) > MOST_DETAILS:
        items = [*items[:MOST_DETAILS], f"… and {len(items) - MOST_DETAILS} more, in the JSON report."]
    summary = f"<summary>Explained by the ledger ({_count(verdict.ledger_entries)})</summary>"
    return ["\n\n".join([f"<details>\n{summary}", *items, "</details>"])]


def _difference(found: JudgedDifference) -> str:
    return (
        f"- {found.kind} at {_code(found.path)}\n"
        f"  - {_text(found.left_target)}: {_code(shown(found.left))}\n"
        f"  - {_text(found.right_target)}: {_code(shown(found.right))}"
    )


def _violation(target: str, found: JudgedViolation) -> str:
    clauses = f" ({', '.join(map(_text, found.clauses))})" if found.clauses else ""
    return (
        f"- {_text(target)} breaks the contract{clauses} at {_code(found.path)}\n"
        f"  - expected: {_code(shown(found.expected))}\n"
        f"  - actual: {_code(shown(found.actual))}"
    )


def _entry(entry: Divergence | Shortfall) -> str:
    return (
        f"  - {entry.kind} ({_text(entry.clause)}), LiteLLM {_code(entry.litellm)}: {_text(entry.why)}\n"
        f"  - probe: {_code(entry.probe)}"
    )


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


def _made_of(report: Report) -> str:
    rules = [f"| {r.name} | {r.masked} | {_text(r.description)} |" for r in report.rules]
    table = "\n".join(["| rule | masked | what |", "| --- | --- | --- |", *rules])
    versions = [
        f"- {_text(target)}: {_text(', '.join(f'{name} {v}' for name, v in found.items())) or 'unknown'}"
        for target, found in report.versions.items()
    ]
    return "\n\n".join(
        [
            f"## Normalised\n\n{table}",
            "## Versions",
            "\n".join([*versions, f"- catalogue {_code(report.catalogue)}"]),
        ]
    )


def _list(title: str, sentences: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {_text(s)}" for s in sentences)] if sentences else []


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

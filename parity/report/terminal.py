"""Renders the report for a terminal: a table by theme, every unexplained difference, the verdict line last."""

from __future__ import annotations

import sys
from io import StringIO
from typing import TextIO

from rich.table import Table
from rich.text import Text

from parity.judging.verdict import JudgedDifference, JudgedViolation, ScenarioVerdict, Verdict
from parity.report.schema import Report
from parity.report.text import by_theme, cell_word, shown, stale, unaccounted
from proxies.support.terminal import SafeConsole

MOST_DETAILS = 50
NARROW = 80  # columns below which the table would break its words
LONGEST_VALUE = 300
_PARITY = {"identical": "green", "explained": "yellow", "unexplained": "bold red"}
_STYLES = {0: "bold green", 1: "bold red", 2: "bold yellow"}


def render(report: Report, *, width: int = 100, colour: bool = False) -> str:
    """Render the text, `width` columns wide; with `colour` it holds ANSI sequences."""
    console = SafeConsole(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
    )
    with console.capture() as capture:
        _print(console, report.verdict)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def show(report: Report, file: TextIO | None = None) -> None:
    """Print to `file` (stdout); on a terminal in its width and in colour, unless `NO_COLOR` is set."""
    out = file or sys.stdout
    terminal = SafeConsole(file=out)
    colour = terminal.is_terminal and not terminal.no_color
    text = render(report, width=terminal.width if terminal.is_terminal else 100, colour=colour)
    encoding = out.encoding or "utf-8"
    out.write(text.encode(encoding, "backslashreplace").decode(encoding))
    out.flush()


def _print(console: SafeConsole, verdict: Verdict) -> None:
    if verdict.scenarios:
        console.print(_table(verdict) if console.width >= NARROW else _list(verdict))
    _details(console, verdict)
    for title, sentences in (
        ("The run isn't whole", unaccounted(verdict)),
        ("Stale ledger entries", stale(verdict)),
    ):
        if sentences:
            console.print(Text(f"\n{title}", style="bold"))
            for sentence in sentences:
                console.print(Text(f"  {sentence}"))
    # The one line stays one line, however narrow the terminal: tools look for it.
    console.print()
    console.print(Text(verdict.line, style=_STYLES[verdict.exit_code]), soft_wrap=True)


def _table(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("theme", overflow="fold")
    for name in _columns(verdict):
        table.add_column(name, justify="right", overflow="fold")
    for theme, scenarios in by_theme(verdict).items():
        table.add_row(Text(theme), *_counts(verdict, scenarios))
    return table


def _list(verdict: Verdict) -> Text:
    """List the same numbers without columns, zeros left out."""
    lines = []
    for theme, scenarios in by_theme(verdict).items():
        counts = zip(_columns(verdict), _counts(verdict, scenarios), strict=True)
        told = [Text(f"{name} ").append(count) for name, count in counts if count.plain not in ("0", "–")]
        lines.append(Text(f"{theme}: ").append(Text(", ").join(told)))
    return Text("\n").join(lines)


def _columns(verdict: Verdict) -> list[str]:
    return ["scenarios", *(f"{target} ok" for target in verdict.targets), *_PARITY]


def _counts(verdict: Verdict, scenarios: list[ScenarioVerdict]) -> list[Text]:
    words = [str(scenario.parity) for scenario in scenarios]
    return [
        Text(str(len(scenarios))),
        *(_kept(scenarios, target) for target in verdict.targets),
        *(Text(str(words.count(w)), style=style if w in words else "") for w, style in _PARITY.items()),
    ]


def _kept(scenarios: list[ScenarioVerdict], target: str) -> Text:
    """Count the judged cells that keep the contract, as `7/8`."""
    words = [cell_word(s, target) for s in scenarios if target in s.cells]
    words = [word for word in words if word != "unjudged"]
    if not words:
        return Text("–")
    good = sum(word in ("met", "excused") for word in words)
    return Text(f"{good}/{len(words)}", style="" if good == len(words) else "red")


def _details(console: SafeConsole, verdict: Verdict) -> None:
    left = MOST_DETAILS
    hidden = 0
    for scenario in verdict.scenarios:
        blocks = [d for d in map(_difference, scenario.differences) if d] + [
            _violation(target, v)
            for target, cell in scenario.cells.items()
            for v in cell.violations
            if v.excused_by is None
        ]
        if blocks and left:
            console.print(Text(f"\n{scenario.id}", style="bold"), Text(scenario.title), sep="  ")
        for block in blocks[:left]:
            console.print(block)
        hidden += len(blocks[left:])
        left = max(0, left - len(blocks))
    if hidden:
        console.print(Text(f"\n… and {hidden} more, in the JSON report"))


def _difference(found: JudgedDifference) -> Text | None:
    if found.explained_by is not None:
        return None
    return _block(
        f"{found.kind} {found.path}",
        (found.left_target, shown(found.left, LONGEST_VALUE)),
        (found.right_target, shown(found.right, LONGEST_VALUE)),
    )


def _violation(target: str, found: JudgedViolation) -> Text:
    clauses = f" ({', '.join(found.clauses)})" if found.clauses else ""
    return _block(
        f"{target} breaks the contract{clauses} {found.path}",
        ("expected", shown(found.expected, LONGEST_VALUE)),
        ("actual", shown(found.actual, LONGEST_VALUE)),
    )


def _block(head: str, *values: tuple[str, str]) -> Text:
    width = max(len(name) for name, _ in values)
    text = Text(f"  {head}", style="red")
    for (name, value), style in zip(values, ("green", "magenta"), strict=True):
        text.append(f"\n    {name:<{width}}  ", style="default").append(value, style=style)
    return text

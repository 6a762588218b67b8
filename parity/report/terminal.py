"""Renders the report for a terminal: a table by theme, the differences by cause, the verdict line last."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from itertools import cycle
from typing import TextIO

from rich.table import Table
from rich.text import Text

from parity.judging.verdict import JudgedViolation, ScenarioVerdict, Verdict
from parity.report.findings import Open, known, unknown
from parity.report.places import Place, places
from parity.report.schema import Report
from parity.report.text import by_theme, cell_word, shown, stale, unaccounted
from proxies.support.console import SafeConsole

MOST_DETAILS = 50
FROM_SCENARIOS = 3
"""The number of scenarios from which a cause is told once, and no longer in each of them."""
EXAMPLES = 3
MOST_REASONS = 20
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
        _print(console, report)
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


def _print(console: SafeConsole, report: Report) -> None:
    verdict = report.verdict
    if verdict.scenarios:
        table = _table(verdict)
        if len(verdict.targets) > 2 and console.measure(table).maximum > console.width:
            table = _table(verdict, ())
        console.print(table if console.width >= NARROW else _list(verdict))
        if len(verdict.targets) > 2:
            console.print(_targets(verdict))
    _details(console, verdict)
    _allowed(console, verdict)
    for title, sentences in (
        ("The run isn't whole", unaccounted(verdict)),
        ("Ledger out of date", stale(verdict)),
    ):
        if sentences:
            console.print(Text(f"\n{title}", style="bold"))
            for sentence in sentences:
                console.print(Text(f"  {sentence}"))
    if report.unseen:
        entries = sum(one.entries for one in report.unseen)
        console.print(
            Text(
                f"\nThe {verdict.tier} tier can't see {entries} differences that the ledger knows, of "
                f"{len(report.unseen)} clauses; `parity run --tier live -n auto` shows them.",
                style="yellow",
            )
        )
    # The one line stays one line, however narrow the terminal: tools look for it.
    console.print()
    console.print(Text(verdict.line, style=_STYLES[verdict.exit_code]), soft_wrap=True)


def _table(verdict: Verdict, targets: Sequence[str] | None = None) -> Table:
    """Make a row for each theme, a column for each of `targets` (default: all)."""
    shown_targets = verdict.targets if targets is None else targets
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("theme", overflow="fold")
    for name in _columns(shown_targets):
        table.add_column(name, justify="right", overflow="fold")
    for theme, scenarios in by_theme(verdict).items():
        table.add_row(Text(theme), *_counts(shown_targets, scenarios))
    return table


def _targets(verdict: Verdict) -> Text:
    """Say for each of more than two targets how it keeps the contract, and in how many scenarios it differs."""
    text = Text()
    width = max(map(len, verdict.targets))
    for target in verdict.targets:
        text.append(f"\n{target:<{width}}  ok ").append(_kept(list(verdict.scenarios), target))
        if target == verdict.targets[0] and not verdict.majority:
            text.append("  the others are compared with it")
            continue
        words = [str(s.parity_by_target.get(target)) for s in verdict.scenarios]
        for word, style in _PARITY.items():
            count = words.count(word)
            text.append(f"  {word} {count}", style=style if count else "")
    return text


def _list(verdict: Verdict) -> Text:
    """List the same numbers without columns, zeros left out."""
    lines = []
    for theme, scenarios in by_theme(verdict).items():
        counts = zip(_columns(verdict.targets), _counts(verdict.targets, scenarios), strict=True)
        told = [Text(f"{name} ").append(count) for name, count in counts if count.plain not in ("0", "–")]
        lines.append(Text(f"{theme}: ").append(Text(", ").join(told)))
    return Text("\n").join(lines)


def _columns(targets: Sequence[str]) -> list[str]:
    return ["scenarios", *(f"{target} ok" for target in targets), *_PARITY]


def _counts(targets: Sequence[str], scenarios: list[ScenarioVerdict]) -> list[Text]:
    words = [str(scenario.parity) for scenario in scenarios]
    return [
        Text(str(len(scenarios))),
        *(_kept(scenarios, target) for target in targets),
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
    """Print each cause that shows in many scenarios once, then the other differences by scenario."""
    causes = _causes(verdict)
    told = {(place.scenario, place.path) for cause in causes for place in cause.places}
    left = MOST_DETAILS
    hidden = 0
    for cause in causes:
        if left:
            console.print(_cause(cause))
            left -= 1
        else:
            hidden += 1
    for scenario in verdict.scenarios:
        open_ = {d.path for d in scenario.differences if d.explained_by is None}
        blocks = [
            _difference(place)
            for place in places(scenario)
            if place.differs and place.path in open_ and (scenario.id, place.path) not in told
        ] + [
            _violation(target, v)
            for target, cell in scenario.cells.items()
            for v in cell.violations
            if v.excused_by is None and (scenario.id, v.path) not in told
        ]
        if blocks and left:
            console.print(Text(f"\n{scenario.id}", style="bold"), Text(scenario.title), sep="  ")
        for block in blocks[:left]:
            console.print(block)
        hidden += len(blocks[left:])
        left = max(0, left - len(blocks))
    if hidden:
        console.print(Text(f"\n… and {hidden} more, in the JSON report"))


def _allowed(console: SafeConsole, verdict: Verdict) -> None:
    """Print what the ledger allows, a line a cause, so that nobody takes a pass for sameness."""
    found = known(place for scenario in verdict.scenarios for place in places(scenario))
    if not found:
        return
    console.print(Text("\nExplained or excused by the ledger, by cause", style="bold"))
    for reason in found[:MOST_REASONS]:
        scenarios = len({place.scenario for place in reason.places})
        text = Text(f"  {scenarios:>4} × ", style="yellow")
        console.print(text.append(f"{_right(reason.winner)}  {reason.clause}: {reason.why}", style="default"))
    if len(found) > MOST_REASONS:
        console.print(Text(f"  … and {len(found) - MOST_REASONS} more causes, in the JSON report"))


def _right(winner: str) -> str:
    return {"neither": "all fall short", "either": "left open"}.get(winner, f"{winner} is right")


def _causes(verdict: Verdict) -> list[Open]:
    """Return the groups of unexplained places that show in many scenarios, the most frequent first."""
    everything = [place for scenario in verdict.scenarios for place in places(scenario)]
    frequent = [cause for cause in unknown(everything) if len(_scenarios(cause)) >= FROM_SCENARIOS]
    return sorted(frequent, key=lambda cause: -len(_scenarios(cause)))


def _scenarios(cause: Open) -> list[str]:
    return list(dict.fromkeys(place.scenario for place in cause.places))


def _cause(cause: Open) -> Text:
    scenarios = _scenarios(cause)
    first = cause.places[0]
    broken = f"{', '.join(cause.wrong)} breaks the contract, unexcused, " if cause.wrong else ""
    kind = "" if cause.kind == "contract" else f"{cause.kind} "
    values = _values(first)
    if first.expected is not None:
        values.append(("expected", shown(first.expected[0], LONGEST_VALUE)))
    text = _block(f"in {len(scenarios)} scenarios: {kind}{broken}{cause.path}", *values, indent="")
    shown_ids = scenarios[:EXAMPLES]
    more = f" and {len(scenarios) - EXAMPLES} more" if len(scenarios) > EXAMPLES else ""
    return Text("\n").append(text).append(f"\n  first of {', '.join(shown_ids)}{more}", style="default")


def _values(place: Place) -> list[tuple[str, str]]:
    """Return each value once, with the targets that show it."""
    targets: dict[str, list[str]] = {}
    for target, value in place.values.items():
        targets.setdefault(shown(value, LONGEST_VALUE), []).append(target)
    return [(", ".join(names), value) for value, names in targets.items()]


def _difference(place: Place) -> Text:
    return _block(f"{place.kind} {place.path}", *_values(place))


def _violation(target: str, found: JudgedViolation) -> Text:
    clauses = f" ({', '.join(found.clauses)})" if found.clauses else ""
    return _block(
        f"{target} breaks the contract, unexcused{clauses} {found.path}",
        ("expected", shown(found.expected, LONGEST_VALUE)),
        ("actual", shown(found.actual, LONGEST_VALUE)),
    )


def _block(head: str, *values: tuple[str, str], indent: str = "  ") -> Text:
    width = max(len(name) for name, _ in values)
    text = Text(f"{indent}{head}", style="red")
    for (name, value), style in zip(values, cycle(("green", "magenta")), strict=False):
        text.append(f"\n{indent}  {name:<{width}}  ", style="default").append(value, style=style)
    return text

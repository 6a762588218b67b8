"""Shows one scenario: what differs, then both observations, then its text.

On a terminal both stand next to each other. Elsewhere they stand one after the other, and nothing is wrapped
or cut, so that a program can read each JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher
from typing import Any, TextIO

from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from parity.catalogue.scenario import Scenario
from parity.judging.normalise import normalise
from parity.judging.verdict import Verdict
from parity.observation.model import Observation
from parity.report.text import LONGEST_VALUE, shown
from proxies.support.console import SafeConsole
from proxies.support.redact import redact_json


def show(
    scenario: Scenario, observations: Sequence[Observation], verdict: Verdict, file: TextIO | None = None
) -> None:
    """Print all three parts; colours only where the terminal has them."""
    # Not `console.is_terminal`, which is also true of a pipe when the environment forces colours.
    on_terminal = (file or sys.stdout).isatty()
    console = SafeConsole(file=file, highlight=False, soft_wrap=not on_terminal)
    limit = LONGEST_VALUE if on_terminal else sys.maxsize
    observed = {observation.target: _seen(observation) for observation in observations}
    said = _json(scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    console.print(Text(f"{scenario.id}  {scenario.title}", style="bold"))
    _differences(console, verdict, limit)
    sides = {target: _json(seen) for target, seen in observed.items()}
    lines = differing(list(sides.values()))
    if on_terminal:
        table = Table(expand=True, show_lines=True)
        for target in sides:
            table.add_column(target, ratio=1, overflow="fold")
        table.add_row(*(_coloured(text, at) for text, at in zip(sides.values(), lines, strict=True)))
        console.print(table)
        console.print(_coloured(said))
    else:
        for target, seen in sides.items():
            console.print(Text(target, style="bold"), Text(seen), sep="\n")
        console.print(Text("scenario", style="bold"), Text(said), sep="\n")
    for observation in observations:
        for rule, paths in normalise(observation).paths.items():
            if paths:
                console.print(Text(f"{observation.target}: {rule} masked {', '.join(paths)}", style="dim"))


def _differences(console: SafeConsole, verdict: Verdict, limit: int) -> None:
    """Print what differs and what breaks the contract, excused and unexcused apart."""
    for judged in verdict.scenarios:
        for difference in judged.differences:
            known = difference.explained_by
            console.print(Text(f"{'explained' if known else 'DIFFERS'} {difference.path}", style="bold"))
            console.print(Text(f"  {difference.left_target}: {shown(difference.left, limit)}"))
            console.print(Text(f"  {difference.right_target}: {shown(difference.right, limit)}"))
            if known:
                console.print(Text(f"  {known.why}", style="dim"))
        for target, cell in judged.cells.items():
            for violation in cell.violations:
                word = "excused" if violation.excused_by else "BROKEN"
                console.print(Text(f"{word} {target} {violation.path}", style="bold"))
                console.print(Text(f"  expected: {shown(violation.expected, limit)}"))
                console.print(Text(f"  actual:   {shown(violation.actual, limit)}"))


def differing(texts: Sequence[str]) -> list[set[int]]:
    """Return the numbers of the lines, from 1 on, that two texts don't share; none where there aren't two."""
    if len(texts) != 2:
        return [set() for _ in texts]
    sides = [text.splitlines() for text in texts]
    found: list[set[int]] = [set(), set()]
    for tag, *ends in SequenceMatcher(None, sides[0], sides[1], autojunk=False).get_opcodes():
        if tag != "equal":
            found[0] |= set(range(ends[0] + 1, ends[1] + 1))
            found[1] |= set(range(ends[2] + 1, ends[3] + 1))
    return found


def _seen(observation: Observation) -> Any:
    return normalise(observation).observation.model_dump(
        mode="json", exclude={"scenario", "target", "tier"}, exclude_defaults=True
    )


def _json(value: Any) -> str:
    return json.dumps(redact_json(value), indent=1, ensure_ascii=False)


def _coloured(text: str, lines: Collection[int] = ()) -> Syntax:
    shown_text = Syntax(text, "json", word_wrap=True, background_color="default")
    rows = text.splitlines()
    for line in lines:
        shown_text.stylize_range("bold reverse", (line, 0), (line, len(rows[line - 1])))
    return shown_text

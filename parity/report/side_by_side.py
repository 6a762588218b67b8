"""Shows one scenario: its text, then both observations, then what differs.

On a terminal both stand next to each other. Elsewhere they stand one after the other, and nothing is wrapped
or cut, so that a program can read each JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from parity.catalogue.scenario import Scenario
from parity.judging.normalise import normalise
from parity.judging.verdict import Verdict
from parity.observation.model import Observation
from parity.report.text import LONGEST_VALUE, shown
from proxies.support.redact import redact_json
from proxies.support.terminal import SafeConsole


def show(
    scenario: Scenario, observations: Sequence[Observation], verdict: Verdict, file: TextIO | None = None
) -> None:
    """Print all three parts; colours only where the terminal has them."""
    # Not `console.is_terminal`, which is also true of a pipe when the environment forces colours.
    on_terminal = (file or sys.stdout).isatty()
    console = SafeConsole(file=file, highlight=False, soft_wrap=not on_terminal)
    limit = LONGEST_VALUE if on_terminal else sys.maxsize
    said = _json(scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    sides = {observation.target: _json(_seen(observation)) for observation in observations}
    if on_terminal:
        console.rule(Text(scenario.id, style="bold"))
        console.print(Text(scenario.title))
        console.print(_coloured(said))
        table = Table(expand=True, show_lines=True)
        for target in sides:
            table.add_column(target, ratio=1, overflow="fold")
        table.add_row(*map(_coloured, sides.values()))
        console.print(table)
    else:
        console.print(Text(scenario.id, style="bold"), Text(scenario.title), Text(said), sep="\n")
        for target, seen in sides.items():
            console.print(Text(target, style="bold"), Text(seen), sep="\n")
    for observation in observations:
        for rule, paths in normalise(observation).paths.items():
            if paths:
                console.print(Text(f"{observation.target}: {rule} masked {', '.join(paths)}", style="dim"))
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


def _seen(observation: Observation) -> Any:
    return normalise(observation).observation.model_dump(
        mode="json", exclude={"scenario", "target", "tier"}, exclude_defaults=True
    )


def _json(value: Any) -> str:
    return json.dumps(redact_json(value), indent=1, ensure_ascii=False)


def _coloured(text: str) -> Syntax:
    return Syntax(text, "json", word_wrap=True, background_color="default")

"""One scenario on the terminal: what it says, then both observations next to each other, then what differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from parity.normalise import normalise
from parity.observation import Observation
from parity.report.text import shown
from parity.scenario import Scenario
from parity.verdict import Verdict
from proxies.redact import redact_json


def show(
    scenario: Scenario, observations: Sequence[Observation], verdict: Verdict, file: TextIO | None = None
) -> None:
    """Print it all; colours only where the terminal has them."""
    console = Console(file=file, highlight=False)
    console.rule(Text(scenario.id, style="bold"))
    console.print(Text(scenario.title))
    console.print(_json(scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    table = Table(expand=True, show_lines=True)
    for observation in observations:
        table.add_column(observation.target, ratio=1, overflow="fold")
    table.add_row(*(_json(_seen(observation)) for observation in observations))
    console.print(table)
    for observation in observations:
        for rule, paths in normalise(observation).paths.items():
            if paths:
                console.print(Text(f"{observation.target}: {rule} masked {', '.join(paths)}", style="dim"))
    for judged in verdict.scenarios:
        for difference in judged.differences:
            known = difference.explained_by
            console.print(Text(f"{'explained' if known else 'DIFFERS'} {difference.path}", style="bold"))
            console.print(Text(f"  {difference.left_target}: {shown(difference.left)}"))
            console.print(Text(f"  {difference.right_target}: {shown(difference.right)}"))
            if known:
                console.print(Text(f"  {known.why}", style="dim"))
        for target, cell in judged.cells.items():
            for violation in cell.violations:
                word = "excused" if violation.excused_by else "BROKEN"
                console.print(Text(f"{word} {target} {violation.path}", style="bold"))
                console.print(Text(f"  expected: {shown(violation.expected)}"))
                console.print(Text(f"  actual:   {shown(violation.actual)}"))


def _seen(observation: Observation) -> Any:
    return normalise(observation).observation.model_dump(
        mode="json", exclude={"scenario", "target", "tier"}, exclude_defaults=True
    )


def _json(value: Any) -> Syntax:
    text = json.dumps(redact_json(value), indent=1, ensure_ascii=False)
    return Syntax(text, "json", word_wrap=True, background_color="default")

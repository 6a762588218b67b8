"""Renders the table of gateways as one HTML page: gateways × clauses, the evidence of each broken cell behind it.

It needs no network, no other file and no script; a browser is told to load nothing but its own style.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from parity.gateways.judging import GatewayVerdict
from parity.gateways.table import TITLES
from parity.judging.levels import LEVELS, clauses
from parity.support import templates

FOLDER = Path(__file__).with_name("page")
MOST = 5
"""The number of scenarios of one cell whose evidence is written out; the others are named."""
LONGEST = 400


def page(verdicts: Sequence[GatewayVerdict]) -> str:
    """Render the page; equal verdicts make equal bytes."""
    environment = templates.environment(FOLDER)
    style = Markup(environment.get_template("gateways.css").render())  # noqa: S704  # our own file
    named = [clause for clause in clauses().values() if any(clause.id in v.clauses for v in verdicts)]
    levels = [(TITLES[level], [clause for clause in named if clause.level == level]) for level in LEVELS]
    return environment.get_template("gateways.html.jinja").render(
        verdicts=verdicts,
        levels=[(title, rows) for title, rows in levels if rows],
        style=style,
        digest=templates.digest(style),
        kept=lambda verdict: sum(not clause.broken for clause in verdict.clauses.values()),
        shown=_shown,
        quoted=_quoted,
        most=MOST,
    )


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _quoted(scenario: str) -> str:
    """Write a scenario's id as an expression for a shell: its words, since brackets mean something to `-k`."""
    template, _, case = scenario.partition("[")
    case = case.removesuffix("]")
    return shlex.quote(f"{template} and {case}" if case and case.replace("_", "").isalnum() else template)

"""Defines `parity list`: the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import click

from parity.commands.options import json_option, load, scenarios_option
from proxies.support.terminal import say


@click.command("list")
@scenarios_option
@click.option("--count", is_flag=True, help="Print only the number of scenarios.")
@json_option
def list_(paths: tuple[Path, ...], count: bool, as_json: bool) -> None:
    """List the scenarios: id, tiers and promise, tab-separated.

    \b
    parity list --count
    parity list --json
    """
    loaded = load(paths)
    if as_json:
        rows = [{"id": s.id, "tiers": s.tiers, "clauses": s.clauses, "title": s.title} for s in loaded]
        say(json.dumps(len(rows) if count else rows, indent=2, ensure_ascii=False))
        return
    if count:
        say(len(loaded))
        return
    for scenario in loaded:
        say(f"{scenario.id}\t{','.join(scenario.tiers)}\t{scenario.title}")

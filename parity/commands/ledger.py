"""Defines `parity ledger`, which prints what the ledger allows, by what a client notices of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import click

from parity.commands.options import ledger_option
from parity.judging.ledger import SEVERITIES, Divergence, Ledger, Shortfall
from proxies.support.terminal import say

RANKS = tuple(SEVERITIES)
MENDERS = {"litellm": "LiteLLM", "provider": "the provider", "project": "this project"}


@click.command()
@ledger_option
@click.option("--json", "as_json", is_flag=True, help="Print the entries as JSON, the severest first.")
def ledger(ledger: Path, as_json: bool) -> None:
    """Print what the ledger allows, the severest first; exit code 1 when the last day of an entry is over.

    \b
    parity ledger
    parity ledger --json | jq '.entries[] | select(.mended_by == "project")'
    """
    today = date.today()
    entries = sorted(Ledger.load(ledger).entries, key=lambda e: -RANKS.index(e.severity))
    if as_json:
        shown = [{**e.model_dump(mode="json"), "expired": e.expired(today)} for e in entries]
        say(json.dumps({"parity_ledger": 1, "entries": shown}, indent=2, ensure_ascii=False))
    else:
        for line in lines(entries, today):
            say(line)
    if any(e.expired(today) for e in entries):
        raise SystemExit(1)


def lines(entries: Iterable[Divergence | Shortfall], today: date) -> list[str]:
    """Return the ledger as text: by severity, and once for all entries of which a client notices the same."""
    groups: dict[tuple[Any, ...], list[Divergence | Shortfall]] = {}
    for e in entries:
        key = (e.severity, e.notices, e.mended_by, e.upstream, e.expires)
        groups.setdefault(key, []).append(e)
    said: list[str] = []
    last = ""
    for (severity, notices, mender, upstream, expires), same in groups.items():
        if severity != last:
            said += [*([""] if said else []), f"{severity}: {SEVERITIES[severity]}"]
            last = severity
        over = "EXPIRED on" if same[0].expired(today) else "until"
        places = f"{len(same)} {'entry' if len(same) == 1 else 'entries'}"
        scenarios = ", ".join(dict.fromkeys(e.scenario for e in same))
        versions = ", ".join(dict.fromkeys(e.litellm for e in same))
        said.append(f"  {notices}")
        said.append(f"    {places}, LiteLLM {versions}, {over} {expires}; {MENDERS[mender]} can mend it")
        said.append(f"    in {scenarios}")
        if upstream:
            said.append(f"    {upstream}")
    counts = Counter(e.severity for same in groups.values() for e in same)
    total = ", ".join(
        f"{severity} {counts[severity]}" for severity in reversed(SEVERITIES) if counts[severity]
    )
    return [*said, "", total] if said else ["the ledger is empty"]

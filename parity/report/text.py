"""Holds the wording that all written reports share: what is listed, in which order, how a value is shown."""

from __future__ import annotations

import json
from typing import Any

from parity.judging.jsondiff import ABSENT
from parity.judging.ledger import SEVERITIES
from parity.judging.verdict import Entry, ScenarioVerdict, Verdict

LONGEST_VALUE = 600  # characters of one value that are shown


def shown(value: Any, limit: int = LONGEST_VALUE) -> str:
    """Show `value` as JSON in one line, ABSENT as its bare marker; cut at `limit` characters, saying so."""
    text = ABSENT.value if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


RANKS = ("", *SEVERITIES)
"""The severities of a ledger entry, the worst last; empty where an older report's ledger doesn't say."""


def severity(entry: Entry) -> str:
    """Return how much a client suffers, as the entry says."""
    said = getattr(entry, "severity", "")
    return said if said in RANKS else ""


def unaccounted(verdict: Verdict) -> list[str]:
    """Return why the run is incomplete, a sentence each."""
    return [
        *([] if verdict.planned else ["nothing was planned"]),
        *(f"{cell}: planned, but not reported" for cell in verdict.missing),
        *(f"{cell}: reported, but not planned in this tier" for cell in verdict.unplanned),
        *(f"{cell}: reported more than once" for cell in verdict.doubled),
        *verdict.problems,
    ]


def stale(verdict: Verdict) -> list[str]:
    """Return a sentence for each ledger entry that no longer occurs, or whose last day is over."""
    return [
        *(f"{e.kind} of {e.scenario} at {e.path} no longer occurs: {e.why}" for e in verdict.stale),
        *(f"{e.kind} of {e.scenario} at {e.path} expired on {e.expires}: {e.why}" for e in verdict.expired),
    ]


def cell_word(scenario: ScenarioVerdict, target: str) -> str:
    """Say how a target fares against the contract; `–` where the cell wasn't planned."""
    cell = scenario.cells.get(target)
    return cell.contract if cell else "–"


def parity_word(scenario: ScenarioVerdict) -> str:
    return scenario.parity or "–"


def apart_word(verdict: Verdict, scenario: ScenarioVerdict, target: str) -> str:
    """Say whether one of more than two targets differs; empty where it doesn't. Of two, the scenario's word says it."""
    word = scenario.parity_by_target.get(target, "identical")
    if len(verdict.targets) < 3 or word == "identical":
        return ""
    return "differs" if word == "unexplained" else word


def by_theme(verdict: Verdict) -> dict[str, list[ScenarioVerdict]]:
    """Group the scenarios by the first word of their id, both in order."""
    themes: dict[str, list[ScenarioVerdict]] = {}
    for scenario in verdict.scenarios:
        themes.setdefault(scenario.theme, []).append(scenario)
    return themes

"""Defines `parity show` and `schema`: one scenario, the file formats."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click

from parity import report
from parity.bench.model import bench_schema
from parity.catalogue import loading as catalogues
from parity.commands.options import (
    finish,
    json_option,
    ledger_option,
    litellm_option,
    load,
    one,
    scenarios_option,
)
from parity.decision.model import decision_schema
from parity.judging import ledger as ledgers
from parity.judging.ledger import Ledger, Subject
from parity.judging.verdict import Cell, judge
from parity.measuring.model import measure_schema
from parity.observation.file import observation_schema
from parity.recorder.missing import played_as, record_missing
from parity.report import side_by_side
from parity.report.evidence import collect
from parity.targets.arms import ARMS
from parity.targets.target import MockedTarget
from proxies.support.terminal import say


@click.command()
@click.argument("scenario_id")
@scenarios_option
@ledger_option
@litellm_option
@json_option
def show(scenario_id: str, paths: tuple[Path, ...], ledger: Path, litellm: str | None, as_json: bool) -> None:
    """Show one scenario: what differs, then its text and what both proxies showed, side by side.

    \b
    parity show chat.plain
    parity show 'errors.openai_status[400]'
    parity show chat.plain --json
    """
    loaded = load(paths)
    scenario = one(loaded, scenario_id)
    litellm = played_as(litellm)
    record_missing(loaded.select([scenario_id]), litellm)
    observations = [asyncio.run(MockedTarget(arm, litellm).observe(scenario)) for arm in ARMS]
    cells = [Cell(scenario=scenario_id, target=arm) for arm in ARMS]
    subjects: dict[str, Subject] = {arm: Subject(arm, litellm) for arm in ARMS}
    verdict = judge(
        cells,
        observations,
        loaded,
        Ledger.load(ledger),
        "mocked",
        ARMS,
        subjects=subjects,
        today=date.today(),
    )
    if as_json:
        evidence = collect([scenario], observations)
        finish(verdict, loaded.select([scenario_id]).hash, {}, None, evidence=evidence, as_json=True)
    side_by_side.show(scenario, observations, verdict)
    say(verdict.line)
    sys.exit(verdict.exit_code)


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "scenario": catalogues.json_schema,
    "observation": observation_schema,
    "ledger": ledgers.ledger_schema,
    "report": report.report_schema,
    "measure": measure_schema,
    "decision": decision_schema,
    "bench": bench_schema,
}


@click.command()
@click.argument("which", type=click.Choice(sorted(SCHEMAS)), default="scenario")
def schema(which: str) -> None:
    """Print the JSON schema of scenario files (or of observations, the ledger, the report, a bench)."""
    say(json.dumps(SCHEMAS[which](), indent=2))

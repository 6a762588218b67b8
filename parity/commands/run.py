"""Defines `parity run`, which plays the matrix on both proxies and ends in a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Tier
from parity.commands.options import (
    expression_option,
    finish,
    json_option,
    ledger_option,
    litellm_option,
    load,
    scenarios_option,
    tier_option,
    workers_option,
)
from parity.judging.ledger import Ledger
from parity.matrix import Plan, play
from parity.observation.file import ObservationFile, header
from parity.observation.model import Observation
from parity.report.evidence import collect
from parity.report.schema import unseen_in
from parity.support.files import check_writable
from parity.targets.arms import ARMS
from proxies.support.terminal import say


@click.command()
@tier_option
@scenarios_option
@expression_option
@workers_option
@ledger_option
@litellm_option
@json_option
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("parity-report"),
    show_default=True,
    help="Folder for report.html, report.md, report.json, junit.xml and the observations.",
)
def run(
    tier: Tier,
    paths: tuple[Path, ...],
    expression: str,
    workers: str,
    ledger: Path,
    litellm: str | None,
    as_json: bool,
    folder: Path,
) -> None:
    """Play the scenarios on both proxies and end in a verdict.

    \b
    parity run -k 'errors and not 429'
    parity run --scenarios my-scenarios/ --report out/
    """
    check_writable(folder)  # before the run, whose results could not be written
    loaded = load(paths)
    done, made_with = play(loaded, Plan(tier, ARMS, paths, expression, workers, ledger, litellm))
    _write_observations(folder, done.observations, loaded, tier, made_with)
    planned = loaded.select(s.id for s in done.verdict.scenarios)
    finish(
        done.verdict,
        planned.hash,
        dict.fromkeys(ARMS, made_with),
        folder,
        done.crashes,
        evidence=collect(planned, done.observations),
        unseen=unseen_in(tier, loaded, Ledger.load(ledger)) if tier == "mocked" else (),
        as_json=as_json,
    )


def _write_observations(
    folder: Path,
    observations: Sequence[Observation],
    loaded: Catalogue,
    tier: Tier,
    made_with: dict[str, str],
) -> None:
    for arm in ARMS:
        mine = tuple(o for o in observations if o.target == arm)
        if mine:
            planned = loaded.select(o.scenario for o in mine)
            head = header(arm, arm, tier, planned.hash, made_with)
            path = folder / f"{arm}.jsonl"
            ObservationFile(head, mine).write(path)
            say(f"wrote {path}", err=True)

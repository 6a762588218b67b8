"""Defines `parity run`, which plays the matrix on both proxies and ends in a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from parity.catalogue.scenario import TIERS, Tier
from parity.commands.clients import client_option
from parity.commands.options import (
    expression_option,
    finish,
    json_option,
    ledger_option,
    litellm_option,
    load,
    majority_option,
    refuse,
    scenarios_option,
    workers_option,
)
from parity.commands.targets import play_all, targets_option
from parity.judging.ledger import Ledger
from parity.matrix import Plan
from parity.observation.file import ObservationFile
from parity.report.evidence import collect
from parity.report.schema import unseen_in
from parity.support.files import check_writable
from parity.targets.arms import ARMS
from parity.targets.official import Player
from proxies.support.terminal import say


@click.command()
@click.option(
    "--tier",
    type=click.Choice((*TIERS, "real")),
    default="mocked",
    show_default=True,
    help="mocked: in this process, no sockets. live: real LiteLLM, stub provider on loopback. real: the scenarios that "
    "are marked so on real providers, which want money for it.",
)
@click.option("--yes", is_flag=True, help="With --tier real: start without asking.")
@scenarios_option
@expression_option
@workers_option
@ledger_option
@litellm_option
@json_option
@targets_option
@majority_option
@client_option
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("parity-report"),
    show_default=True,
    help="Folder for report.html, report.md, report.json, junit.xml and the observations.",
)
@click.pass_context
def run(
    context: click.Context,
    tier: Tier | Literal["real"],
    yes: bool,
    paths: tuple[Path, ...],
    expression: str,
    workers: str,
    ledger: Path,
    litellm: str | None,
    as_json: bool,
    targets: tuple[str, ...],
    majority: bool,
    player: Player | None,
    folder: Path,
) -> None:
    """Play the scenarios on both proxies, or on any targets, and end in a verdict.

    The first of the targets is compared with each of the others. A target is binary or sdk; in the mocked tier also
    with a LiteLLM whose recordings are played, as sdk@1.106.2; in the live tier also a gateway of `parity judge
    --list`, or a profile's file: of it, what its clients saw is compared, and the contract isn't applied.
    With --client all targets are played so, our proxies too.

    \b
    parity run -k 'errors and not 429'
    parity run --scenarios my-scenarios/ --report out/
    parity run --targets sdk@1.106.2,sdk@1.110.2,binary --majority
    parity run --tier live --targets passthrough,portkey,sdk -k chat
    parity run --tier live --targets passthrough,binary,sdk --client openai
    OPENAI_API_KEY=… parity run --tier real
    """
    check_writable(folder)  # before the run, whose results could not be written
    loaded = load(paths)
    if tier == "real":
        refuse(
            context, ("workers", "ledger", "litellm", "majority", "player"), "without effect on the tier real"
        )
        if others := [name for name in targets if name not in ARMS]:
            raise click.UsageError(f"the tier real is played by {' and '.join(ARMS)}, not by {others[0]!r}")
        from parity.commands.real import run_real  # with a stack of processes, which other tiers may not need

        run_real(loaded, expression, [arm for arm in ARMS if arm in targets], yes, folder, as_json)
    refuse(context, ("yes",), "only for --tier real")
    plan = Plan(tier, targets, paths, expression, workers, ledger, litellm, majority)
    done = play_all(loaded, plan, player)
    for file in done.files:
        path = folder / f"{file.header.target}.jsonl"
        ObservationFile(file.header, file.observations).write(path)
        say(f"wrote {path}", err=True)
    planned = loaded.select(s.id for s in done.verdict.scenarios)
    made_with = {file.header.target: file.header.versions for file in done.files}
    finish(
        done.verdict,
        planned.hash,
        made_with,
        folder,
        done.crashes,
        evidence=collect(planned, [seen for file in done.files for seen in file.observations]),
        unseen=unseen_in(tier, loaded, Ledger.load(ledger)) if tier == "mocked" else (),
        as_json=as_json,
    )

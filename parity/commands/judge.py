"""Defines `parity judge`, which puts gateways in front of the stub provider and judges what they owe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from pydantic import TypeAdapter, ValidationError

from parity import report
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.commands.clients import client_option
from parity.commands.group import Unusable
from parity.commands.options import expression_option, load, scenarios_option
from parity.gateways import html
from parity.gateways import profile as profiles
from parity.gateways.judging import GatewayVerdict, client_of, judge_gateway, rules_for
from parity.gateways.process import GatewayError
from parity.gateways.profile import Profile
from parity.gateways.report import as_verdict
from parity.gateways.table import page
from parity.judging.levels import clauses
from parity.report.text import shown
from parity.support.files import check_writable, write_text_atomic
from parity.support.interrupts import ended_by_sigterm
from parity.support.progress import progress
from parity.targets.official import Player
from proxies.support.terminal import say

EXAMPLES = 3
SECONDS = 0.2
"""The time for one scenario of one gateway on a quiet machine with two cores."""


class Files(NamedTuple):
    """Holds where the results are written; None: nowhere."""

    page: Path | None
    json: Path | None
    folder: Path | None


@click.command()
@click.argument("gateway", required=False)
@click.option(
    "--all", "every", is_flag=True, help="Judge every built-in profile, and write the table of all."
)
@click.option("--list", "listing", is_flag=True, help="List the built-in profiles.")
@click.option(
    "--page",
    "page_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table as Markdown (with --all: docs/gateways.md, where not given).",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the verdicts with all evidence; equal runs make equal files. One that is judged again is replaced.",
)
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for gateways.html, report.html, report.md, report.json and junit.xml (with --all: gateways-report).",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Keep the verdicts of --json's file on the same version by the same scenarios and rules; judge the others.",
)
@client_option
@scenarios_option
@expression_option
def judge(
    gateway: str | None,
    every: bool,
    listing: bool,
    page_file: Path | None,
    json_file: Path | None,
    folder: Path | None,
    resume: bool,
    player: Player | None,
    paths: tuple[Path, ...],
    expression: str,
) -> None:
    """Judge a gateway by what it owes its clients and its provider.

    It is installed and started in front of the stub provider, and every scenario that applies is played through
    it. GATEWAY is a built-in profile (--list) or the file of one of your own. Judged are the clauses that the
    published APIs ask for and those that a careful gateway keeps, see parity/clauses.yaml; which scenarios don't
    apply is counted, with the reason. --all takes some minutes a gateway, says so first, and goes on with --resume
    where it was interrupted.

    \b
    parity judge passthrough
    parity judge my-gateway.yaml -k 'chat or streaming' --report out/
    parity judge passthrough --client openai
    parity judge --all --resume
    """
    if listing:
        for name in profiles.names():
            one = profiles.find(name)
            say(f"{name}\t{one.shown_version}\t{one.about}")
        return
    if every == (gateway is not None):
        raise click.UsageError("name a gateway (--list shows them), or give --all")
    chosen = [profiles.find(name) for name in (profiles.names() if every else [str(gateway)])]
    scenarios = Selection(expression).of(load(paths))
    if every:
        folder = folder or Path("gateways-report")
        files = Files(page_file or Path("docs/gateways.md"), json_file or folder / "gateways.json", folder)
    else:
        files = Files(page_file, json_file, folder)
    for target in files:
        if target is not None:
            check_writable(target if target is folder else target.parent)
    before = _before(files.json) if resume or not every else []
    done = _still_right(before, chosen, Catalogue(tuple(scenarios), {}).hash, player) if resume else []
    names = {profile.name for profile in chosen}
    # Of one gateway, the file's verdicts on the others stay; a table of all begins anew.
    verdicts = [verdict for verdict in before if verdict.name not in names and not every] + done
    failed: list[str] = []
    left = [profile for profile in chosen if profile.name not in {verdict.name for verdict in done}]
    _announce(left, done, len(scenarios))
    for profile in left:
        with progress(profile.name, len(scenarios)) as advance, ended_by_sigterm():
            try:
                verdict = judge_gateway(
                    profile,
                    scenarios,
                    say=lambda text: say(text, err=True),
                    advance=advance,
                    player=player,
                )
            except GatewayError as error:
                if not every:
                    raise Unusable(str(error)) from None
                failed.append(f"{profile.name}: {error}")
                continue
        verdicts = sorted([*verdicts, verdict], key=lambda one: one.name)
        _show(verdict)
        _write(verdicts, files, scenarios)  # after each: a run of all takes long
    if not left:
        _write(verdicts, files, scenarios)
    for text in failed:
        say(text, err=True)
    judged = [verdict for verdict in verdicts if verdict.name in {profile.name for profile in chosen}]
    for verdict in judged:
        say(verdict.line)
    if failed or any(not verdict.applicable for verdict in judged):
        sys.exit(2)
    if not every:
        sys.exit(0 if judged[0].ok else 1)


def _announce(left: Sequence[Profile], done: Sequence[GatewayVerdict], scenarios: int) -> None:
    """Say how much is to be done, where it is more than one gateway."""
    if done:
        say(f"judged before, and kept: {', '.join(verdict.name for verdict in done)}", err=True)
    if len(left) > 1:
        minutes = len(left) * scenarios * SECONDS / 60
        say(
            f"{len(left)} gateways, {scenarios} scenarios each: about {minutes:.0f} minutes on a quiet machine, and "
            "the installations; interrupted, it goes on with --resume",
            err=True,
        )


def _before(json_file: Path | None) -> list[GatewayVerdict]:
    """Return the verdicts that an earlier run has written. Raises `Unusable`."""
    if json_file is None or not json_file.exists():
        return []
    try:
        return TypeAdapter(list[GatewayVerdict]).validate_json(json_file.read_bytes())
    except ValidationError:
        raise Unusable(f"{json_file} holds no verdicts of `parity judge`; name another file") from None


def _still_right(
    before: Sequence[GatewayVerdict], chosen: Sequence[Profile], catalogue: str, player: Player | None
) -> list[GatewayVerdict]:
    """Return the verdicts that would be made again: on the same version of a chosen gateway, by the same scenarios
    and rules, asked by the same client.
    """
    wanted = {
        (profile.name, profile.shown_version, catalogue, client_of(player), rules_for(profile))
        for profile in chosen
    }
    return [v for v in before if (v.name, v.version, v.catalogue, v.client, v.rules) in wanted]


def _write(verdicts: Sequence[GatewayVerdict], files: Files, scenarios: Sequence[Scenario]) -> None:
    if files.page is not None:
        write_text_atomic(files.page, page(verdicts))
    if files.json is not None:
        lines = [verdict.model_dump_json(indent=1) for verdict in verdicts]
        write_text_atomic(files.json, f"[{','.join(lines)}]\n")
    if files.folder is not None:
        write_text_atomic(files.folder / "gateways.html", html.page(verdicts))
        made = report.build(
            as_verdict(verdicts, scenarios),
            catalogue=Catalogue(tuple(scenarios), {}).hash,
            versions={verdict.name: {verdict.title: verdict.version} for verdict in verdicts},
        )
        report.write(made, files.folder)


def _show(verdict: GatewayVerdict) -> None:
    """Print each broken clause with its source and its first evidence, then why scenarios didn't apply."""
    sources = clauses()
    for name, clause in verdict.clauses.items():
        if not clause.broken:
            continue
        say(
            f"{name} ({clause.level}: {sources[name].source}): broken in {len(clause.broken)} of {clause.checked}"
        )
        scenario, (first, *_) = next(iter(clause.broken.items()))
        say(f"  {scenario} {first.path}")
        say(f"    owed  {shown(first.expected, 200)}")
        say(f"    seen  {shown(first.actual, 200)}")
        others = list(clause.broken)[1 : EXAMPLES + 1]
        if others:
            rest = len(clause.broken) - 1 - len(others)
            say(f"    also  {', '.join(others)}{f' and {rest} more' if rest else ''}")
    for reason, count in verdict.not_applicable.items():
        say(f"not applicable: {count} × {reason}")

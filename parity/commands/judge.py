"""Defines `parity judge`, which puts gateways in front of the stub provider and judges what they owe."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from parity.catalogue.selection import Selection
from parity.commands.options import Unusable, expression_option, load, scenarios_option
from parity.gateways import profile as profiles
from parity.gateways.judging import GatewayVerdict, judge_gateway
from parity.gateways.process import GatewayError
from parity.gateways.table import page
from parity.judging.levels import clauses
from parity.report.text import shown
from parity.support.files import write_text_atomic
from parity.support.progress import progress
from proxies.support.terminal import say

EXAMPLES = 3


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
@scenarios_option
@expression_option
def judge(
    gateway: str | None,
    every: bool,
    listing: bool,
    page_file: Path | None,
    json_file: Path | None,
    paths: tuple[Path, ...],
    expression: str,
) -> None:
    """Judge a gateway by what it owes its clients and its provider.

    It is installed and started in front of the stub provider, and every scenario that applies is played through
    it. GATEWAY is a built-in profile (--list) or the file of one of your own. Judged are the clauses that the
    published APIs ask for and those that a careful gateway keeps, see parity/clauses.yaml; which scenarios don't
    apply is counted, with the reason.

    \b
    parity judge passthrough
    parity judge my-gateway.yaml -k 'chat or streaming'
    parity judge --all
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
    # So that what was started is ended, too, however this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if every and page_file is None:
        page_file = Path("docs/gateways.md")
    verdicts = _kept(json_file, {profile.name for profile in chosen}) if not every else []
    failed: list[str] = []
    for profile in chosen:
        with progress(profile.name, len(scenarios)) as advance:
            try:
                verdict = judge_gateway(
                    profile, scenarios, say=lambda text: say(text, err=True), advance=advance
                )
            except GatewayError as error:
                if not every:
                    raise Unusable(str(error)) from None
                failed.append(f"{profile.name}: {error}")
                continue
        verdicts = sorted([*verdicts, verdict], key=lambda one: one.name)
        _show(verdict)
        _write(verdicts, page_file, json_file)  # after each: a run of all takes long
    for text in failed:
        say(text, err=True)
    judged = [verdict for verdict in verdicts if verdict.name in {profile.name for profile in chosen}]
    for verdict in judged:
        say(verdict.line)
    if failed or any(not verdict.applicable for verdict in judged):
        sys.exit(2)
    if not every:
        sys.exit(0 if judged[0].ok else 1)


def _kept(json_file: Path | None, now: set[str]) -> list[GatewayVerdict]:
    """Return the verdicts on other gateways that an earlier run has written. Raises `Unusable`."""
    if json_file is None or not json_file.exists():
        return []
    try:
        before = TypeAdapter(list[GatewayVerdict]).validate_json(json_file.read_bytes())
    except ValidationError:
        raise Unusable(f"{json_file} holds no verdicts of `parity judge`; name another file") from None
    return [verdict for verdict in before if verdict.name not in now]


def _write(verdicts: Sequence[GatewayVerdict], page_file: Path | None, json_file: Path | None) -> None:
    if page_file is not None:
        write_text_atomic(page_file, page(verdicts))
    if json_file is not None:
        lines = [verdict.model_dump_json(indent=1) for verdict in verdicts]
        write_text_atomic(json_file, f"[{','.join(lines)}]\n")


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

"""`parity …`: run the matrix, observe one side, compare two, look at a scenario, keep the recordings true.

Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from parity import ledger as ledgers
from parity import report
from parity.catalogue import loading as catalogues
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Tier
from parity.command_line import (
    Group,
    Unusable,
    expression_option,
    ledger_option,
    load,
    one,
    scenarios_option,
    tier_option,
    workers_option,
)
from parity.files import check_writable
from parity.ledger import Ledger
from parity.matrix import play
from parity.observation import Header, Observation
from parity.observation_file import (
    ObservationFile,
    observation_schema,
)
from parity.observe_command import observe
from parity.recorder.missing import record_missing
from parity.recording_commands import check_mocks, probe, record
from parity.report import side_by_side, terminal
from parity.shape import shape
from parity.targets import ARMS, MockedTarget
from parity.verdict import Cell, Verdict, judge
from proxies.redact import redact_text


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="proxy-parity", prog_name="parity")
def main() -> None:
    """Do two architectures behave the same? Play every scenario on both, and compare.

    \b
    parity run                          both proxies on recordings: no network, no keys
    parity run --tier live -n auto      against a real LiteLLM, provider on loopback
    parity show 'errors.status[429]'    one scenario: both sides and what differs
    parity observe --target URL --model NAME --out a.jsonl
    parity diff a.jsonl b.jsonl         what changed between two endpoints or versions

    Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
    """


@main.command()
@tier_option
@scenarios_option
@expression_option
@workers_option
@ledger_option
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("parity-report"),
    show_default=True,
    help="Where report.html, report.md, report.json, junit.xml and the observations go.",
)
def run(
    tier: Tier, paths: tuple[Path, ...], expression: str, workers: str, ledger: Path, folder: Path
) -> None:
    """Play the scenarios on both proxies and end in a verdict.

    \b
    parity run -k 'errors and not 429'
    parity run --scenarios my-scenarios/ --report out/
    """
    check_writable(folder)  # before the run, which would be for nothing
    loaded = load(paths)
    done, made_with = play(loaded, paths, ledger, tier, ARMS, expression, workers)
    _write_observations(folder, done.observations, loaded, tier, made_with)
    planned = loaded.select(s.id for s in done.verdict.scenarios)
    _finish(done.verdict, planned.hash, dict.fromkeys(ARMS, made_with), folder, done.crashes)


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
            head = Header(target=arm, tier=tier, catalogue=planned.hash, versions=made_with)
            path = folder / f"{arm}.jsonl"
            ObservationFile(head, mine).write(path)
            click.echo(f"wrote {path}", err=True)


def _finish(
    verdict: Verdict,
    catalogue: str,
    made_with: dict[str, dict[str, str]],
    folder: Path | None,
    crashes: dict[str, str] | None = None,
) -> NoReturn:
    """Table, files, verdict line; ends the process with the verdict's exit code."""
    made = report.build(verdict, catalogue=catalogue, versions=made_with)
    for node, text in sorted((crashes or {}).items()):
        click.echo(f"could not be played: {node}\n{redact_text(text)}", err=True)
    if folder is not None:
        for path in report.write(made, folder):
            click.echo(f"wrote {path}", err=True)
    terminal.show(made)  # its last line is the verdict
    sys.exit(verdict.exit_code)


@main.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the report files here too.",
)
@click.option(
    "--if-comparable",
    is_flag=True,
    help="Succeed, and say so, when LEFT is missing or was made from another catalogue.",
)
@click.option(
    "--shape",
    "shapes",
    is_flag=True,
    help="Compare what answers are made of, not what they say: for endpoints with real models behind them.",
)
@scenarios_option
@ledger_option
def diff(
    left: Path,
    right: Path,
    folder: Path | None,
    if_comparable: bool,
    shapes: bool,
    paths: tuple[Path, ...],
    ledger: Path,
) -> None:
    """Compare two observation files, and judge both by the contract.

    Endpoints that were observed by their URL are compared only: what a scenario expects holds where its own
    provider is behind the target.

    \b
    parity diff binary.jsonl sdk.jsonl
    parity diff litellm-1.106.jsonl litellm-1.107.jsonl --report out/
    parity diff before.jsonl after.jsonl --shape
    """
    if if_comparable and not left.is_file():
        click.echo(f"nothing to compare with: {left} is not there")
        return
    sides = [ObservationFile.read(left), ObservationFile.read(right)]
    one, other = (side.header for side in sides)
    if apart := _apart(one, other):
        what = f"{left} and {right} {apart}"
        if if_comparable:
            click.echo(f"nothing to compare with: {what}")
            return
        raise Unusable(what)
    if one.target == other.target:
        raise Unusable(f"both files are of {one.target!r}; name one of them with `parity observe --name`")
    litellm = {side.versions.get("litellm") for side in (one, other)} - {None}
    if one.tier == "mocked" and len(litellm) > 1:
        click.echo("both replay recordings: what another LiteLLM changes shows with `--tier live`", err=True)
    loaded = load(paths)
    observations = [o for side in sides for o in side.observations]
    known = {s.id for s in loaded}
    if strange := sorted({o.scenario for o in observations} - known):
        raise Unusable(f"not in the catalogue: {', '.join(strange[:5])}; give the folder with --scenarios")
    cells = [
        Cell(scenario=s, target=h.target)
        for s in sorted({o.scenario for o in observations})
        for h in (one, other)
    ]
    if shapes:
        observations = [shape(o) for o in observations]
    verdict = judge(
        cells,
        observations,
        loaded,
        Ledger.load(ledger),
        one.tier,
        (one.target, other.target),
        outside={h.target for h in (one, other) if shapes or h.endpoint},
        shapes_only=shapes,
    )
    _finish(verdict, one.catalogue, {h.target: h.versions for h in (one, other)}, folder)


def _apart(one: Header, other: Header) -> str:
    """Why two files can't be compared; empty when they can."""
    if one.tier != other.tier:
        return f"are of the tiers {one.tier} and {other.tier}; observe both with the same --tier"
    if one.catalogue != other.catalogue:
        return "were made from different scenarios; observe both with the same --scenarios and -k"
    return ""


@main.command("list")
@scenarios_option
@click.option("--count", is_flag=True, help="Only the number.")
def list_(paths: tuple[Path, ...], count: bool) -> None:
    """The scenarios: id, tiers and promise, tab-separated."""
    loaded = load(paths)
    if count:
        click.echo(len(loaded))
        return
    for scenario in loaded:
        click.echo(f"{scenario.id}\t{','.join(scenario.tiers)}\t{scenario.title}")


@main.command()
@click.argument("scenario_id")
@scenarios_option
@ledger_option
def show(scenario_id: str, paths: tuple[Path, ...], ledger: Path) -> None:
    """One scenario: what it says, what both proxies make of it, and the difference, side by side."""
    loaded = load(paths)
    scenario = one(loaded, scenario_id)
    record_missing(loaded.select([scenario_id]))
    observations = [asyncio.run(MockedTarget(arm).observe(scenario)) for arm in ARMS]
    cells = [Cell(scenario=scenario_id, target=arm) for arm in ARMS]
    verdict = judge(cells, observations, loaded, Ledger.load(ledger), "mocked", ARMS)
    side_by_side.show(scenario, observations, verdict)
    click.echo(verdict.line)
    sys.exit(verdict.exit_code)


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "scenario": catalogues.json_schema,
    "observation": observation_schema,
    "ledger": ledgers.ledger_schema,
    "report": report.report_schema,
}


@main.command()
@click.argument("which", type=click.Choice(sorted(SCHEMAS)), default="scenario")
def schema(which: str) -> None:
    """Print the JSON schema of scenario files (or of observations, the ledger, the report)."""
    click.echo(json.dumps(SCHEMAS[which](), indent=2))


main.add_command(observe)
main.add_command(record)
main.add_command(check_mocks)
main.add_command(probe)


if __name__ == "__main__":
    main()

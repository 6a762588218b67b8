"""`parity …`: run the matrix, observe one side, compare two, look at a scenario, keep the recordings true.

Exit codes: 0 no unexplained difference, 1 differences, 2 usage or set-up error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

import click

from parity import catalogue as catalogues
from parity import ledger as ledgers
from parity import matrix, report
from parity.catalogue import Catalogue
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
from parity.ledger import Ledger
from parity.observation import Observation
from parity.observation_file import (
    ObservationFile,
    header,
    observation_schema,
    versions,
)
from parity.progress import progress
from parity.recording_commands import check_mocks, probe, record, record_missing
from parity.report import side_by_side, terminal
from parity.scenario import Tier
from parity.selection import Selection
from parity.targets import ARMS, Arm, MockedTarget, Target, UrlTarget
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
    done = _play(paths, ledger, tier, ARMS, expression, workers)
    loaded = load(paths)
    _write_observations(folder, done.observations, loaded, tier)
    planned = loaded.select(s.id for s in done.verdict.scenarios)
    _finish(done.verdict, planned.hash, dict.fromkeys(ARMS, versions()), folder, done.crashes)


def _play(
    paths: tuple[Path, ...], ledger: Path, tier: Tier, arms: Sequence[Arm], expression: str, workers: str
) -> matrix.Run:
    loaded = load(paths).for_tier(tier)
    if tier == "mocked":
        record_missing(loaded)
    with progress(f"{tier} tier", len(loaded) * len(arms)) as advance:
        return matrix.run(
            paths or (catalogues.BUILT_IN,),
            ledger,
            tier,
            arms,
            expression=expression,
            workers=workers,
            on_report=lambda cell: advance(f"{cell}"),
        )


def _write_observations(
    folder: Path, observations: Sequence[Observation], loaded: Catalogue, tier: Tier
) -> None:
    for arm in ARMS:
        mine = tuple(o for o in observations if o.target == arm)
        if mine:
            planned = loaded.select(o.scenario for o in mine)
            ObservationFile(header(arm, tier, planned.hash), mine).write(folder / f"{arm}.jsonl")


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
@click.option(
    "--target", "target_name", required=True, help="binary, sdk, or a base URL such as http://127.0.0.1:4000"
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Observation file to write."
)
@click.option("--model", help="With a URL: the model to ask for instead of each scenario's own.")
@click.option(
    "--name", help="What to call it in the file: binary, sdk, or the URL's host and port unless given."
)
@click.option(
    "--api-key-env",
    default="PARITY_API_KEY",
    show_default=True,
    help="With a URL: variable that holds the key.",
)
@tier_option
@scenarios_option
@expression_option
@workers_option
@ledger_option
def observe(
    target_name: str,
    out: Path,
    model: str | None,
    name: str | None,
    api_key_env: str,
    tier: Tier,
    paths: tuple[Path, ...],
    expression: str,
    workers: str,
    ledger: Path,
) -> None:
    """Play the scenarios on one target and write down what was seen.

    The file can be compared with another one, made elsewhere or with other versions: see `parity diff`.
    A URL is any OpenAI-compatible endpoint; only what its client sees is observed.

    \b
    parity observe --target sdk --out sdk.jsonl
    parity observe --target http://127.0.0.1:4000 --model gpt-4o-mini -k chat --out now.jsonl
    """
    loaded = load(paths)
    if "://" in target_name:
        if not model:
            raise click.UsageError("a URL needs --model: the name to ask for")
        url = UrlTarget(
            name or target_name.split("://")[1].strip("/"),
            target_name,
            os.environ.get(api_key_env, ""),
            model,
        )
        chosen = Selection(expression).of(loaded.for_tier("live"))
        # A hang-up before the answer has to know when the provider has the call, which a URL doesn't tell.
        playable = [s for s in chosen if all(request.hang_up_after != 0 for request in s.client)]
        for scenario in chosen:
            if scenario not in playable:
                click.echo(f"left out: {scenario.id} can't be played on a URL", err=True)
        observations: Sequence[Observation] = _observe_all(url, playable)
        tier = "live"
    elif target_name in get_args(Arm):
        arm: Arm = target_name  # type: ignore[assignment]
        done = _play(paths, ledger, tier, (arm,), expression, workers)
        observations = [o.model_copy(update={"target": name or arm}) for o in done.observations]
        if not done.verdict.complete or done.crashes:
            for text in done.crashes.values():
                click.echo(text, err=True)
            raise Unusable(done.verdict.line)
    else:
        raise click.UsageError(f"--target is binary, sdk or a URL, not {target_name!r}")
    planned = loaded.select(o.scenario for o in observations)
    target = observations[0].target if observations else target_name
    ObservationFile(header(target, tier, planned.hash), tuple(observations)).write(out)
    click.echo(f"{len(observations)} observations of {target} in {out}")


def _observe_all(target: Target, scenarios: Sequence[Any]) -> list[Observation]:
    async def play_all(advance: Callable[[str], None]) -> list[Observation]:
        seen = []
        for scenario in scenarios:
            seen.append(await target.observe(scenario))
            advance(scenario.id)
        return seen

    with progress(target.name, len(scenarios)) as advance:
        return asyncio.run(play_all(advance))


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
@scenarios_option
@ledger_option
def diff(
    left: Path, right: Path, folder: Path | None, if_comparable: bool, paths: tuple[Path, ...], ledger: Path
) -> None:
    """Compare two observation files, and judge both by the contract.

    \b
    parity diff binary.jsonl sdk.jsonl
    parity diff litellm-1.106.jsonl litellm-1.107.jsonl --report out/
    """
    if if_comparable and not left.is_file():
        click.echo(f"nothing to compare with: {left} is not there")
        return
    sides = [ObservationFile.read(left), ObservationFile.read(right)]
    one, other = (side.header for side in sides)
    if one.catalogue != other.catalogue or one.tier != other.tier:
        what = f"{left} and {right} were made from different scenarios or tiers"
        if if_comparable:
            click.echo(f"nothing to compare with: {what}")
            return
        raise Unusable(f"{what}; observe both with the same catalogue")
    if one.target == other.target:
        raise Unusable(f"both files are of {one.target!r}; name one of them with `parity observe --name`")
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
    verdict = judge(cells, observations, loaded, Ledger.load(ledger), one.tier, (one.target, other.target))
    _finish(verdict, one.catalogue, {h.target: h.versions for h in (one, other)}, folder)


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


main.add_command(record)
main.add_command(check_mocks)
main.add_command(probe)


if __name__ == "__main__":
    main()

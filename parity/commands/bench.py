"""Defines `parity bench`, which measures proxies side by side."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from parity.bench import table
from parity.bench.processes import BenchError
from parity.bench.results import publish
from parity.bench.run import Bench, Plan
from parity.bench.subjects import DEFAULT, missing, named
from parity.bench.workloads import DEFAULT as WORKLOADS
from parity.bench.workloads import Workload, WorkloadError, find
from parity.commands.group import Unusable
from parity.gateways.process import GatewayError, install
from parity.support.files import check_writable, write_text_atomic
from parity.support.progress import progress
from proxies.support.terminal import say

QUICK_SUBJECTS = ("direct", "bare-httpx", "binary-free", "sdk")


@click.command()
@click.option("--subjects", metavar="NAMES", help="Subjects, with commas between them.")
@click.option("--subject", "urls", multiple=True, metavar="NAME=URL", help="A proxy that runs (repeatable).")
@click.option("--workloads", metavar="NAMES", help="Workloads, with commas between them.")
@click.option("--connections", metavar="NUMBERS", help="Connections, with commas between them.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="Rounds: 5, with --quick 3.")
@click.option(
    "--seconds", type=click.FloatRange(0.05, 3600), help="Load of a round: 1 s, with --quick 0.5 s."
)
@click.option(
    "--rate", type=click.FloatRange(0, 1e6), help="Requests a second that are due in the open loop; 0: none."
)
@click.option("--quick", is_flag=True, help="A minute for a first look instead of a quarter of an hour.")
@click.option("--install", "installing", is_flag=True, help="Install subjects that are missing (npm).")
@click.option(
    "--upstream-port", type=click.IntRange(0, 65535), default=0, help="The upstream's port, for --subject."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write bench.json, bench.md and bench.svg into this folder.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures as JSON (`parity schema bench` describes it).",
)
def bench(
    subjects: str | None,
    urls: tuple[str, ...],
    workloads: str | None,
    connections: str | None,
    rounds: int | None,
    seconds: float | None,
    rate: float | None,
    quick: bool,
    installing: bool,
    upstream_port: int,
    out: Path | None,
    json_file: Path | None,
) -> None:
    """Measure proxies side by side, as ratios within one run."""
    chosen = named(_names(subjects, QUICK_SUBJECTS if quick else DEFAULT), _urls(urls))
    plan = Plan(
        subjects=chosen,
        workloads=_workloads(workloads, quick),
        connections={},
        rounds=rounds or (3 if quick else 5),
        seconds=seconds or (0.5 if quick else 1.0),
        warm_up=0.2 if quick else 0.3,
        rate=0 if quick and rate is None else rate,
        upstream_port=upstream_port,
    )
    for workload in plan.workloads:
        plan.connections[workload.name] = _connections(connections, workload, quick)
    for path in (out, json_file and json_file.parent):
        if path is not None:
            check_writable(path)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for subject in chosen:
            if installing and subject.profile is not None and missing(subject):
                install(subject.profile, lambda text: say(text, err=True))
        with progress("bench", Bench(plan).steps) as advance:
            measured = Bench(plan, advance).run()
    except (BenchError, GatewayError) as error:
        raise Unusable(str(error)) from None
    found = publish(plan, measured, _command())
    text = found.model_dump_json(indent=1) + "\n"
    if json_file is not None:
        write_text_atomic(json_file, text)
    if out is not None:
        write_text_atomic(out / "bench.json", text)
    say(table.text(found))
    sys.exit(found.exit_code)


def _command() -> str:
    return " ".join(["parity", *sys.argv[1:]])


def _names(given: str | None, default: tuple[str, ...]) -> list[str]:
    if given is None:
        return list(default)
    return list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


def _urls(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, url = text.partition("=")
        if not name or not equals or urlsplit(url).scheme != "http" or not urlsplit(url).hostname:
            raise click.BadParameter(f"--subject is written NAME=http://HOST:PORT, not {text!r}")
        found[name] = url
    return found


def _workloads(given: str | None, quick: bool) -> list[Workload]:
    try:
        return [find(name) for name in _names(given, ("chat", "stream-200") if quick else WORKLOADS)]
    except WorkloadError as error:
        raise click.BadParameter(str(error), param_hint="--workloads") from None


def _connections(given: str | None, workload: Workload, quick: bool) -> list[int]:
    if given is None:
        return [1, 16] if quick or workload.name != "chat" else [1, 16, 64, 256]
    try:
        found = [int(text) for text in given.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1 or max(found) > 10_000:
        raise click.BadParameter(
            "numbers from 1 to 10000, with commas between them", param_hint="--connections"
        )
    return sorted(set(found))

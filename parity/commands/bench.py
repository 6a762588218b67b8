"""Defines `parity bench`, which measures proxies side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import click
from pydantic import ValidationError

from parity.bench import markdown, plot, table
from parity.bench.fits import WORKLOADS as FITTED
from parity.bench.model import Bench as Figures
from parity.bench.processes import BenchError
from parity.bench.results import publish
from parity.bench.run import Bench, Plan
from parity.bench.subjects import DEFAULT, missing, named
from parity.bench.workloads import DEFAULT as WORKLOADS
from parity.bench.workloads import Workload, WorkloadError, find
from parity.commands.group import Unusable
from parity.gateways.process import GatewayError, install
from parity.support.files import check_writable, write_text_atomic
from parity.support.interrupts import ended_by_sigterm
from parity.support.progress import progress
from proxies.support.terminal import say

QUICK_SUBJECTS = ("direct", "bare-httpx", "binary-free", "sdk")
GROWTH_SUBJECTS = ("direct", "binary-free", "sdk")
"""Of --fits and --endurance."""


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
@click.option("--fits", is_flag=True, help="Lay lines through CPU over size, chunks and connections.")
@click.option(
    "--endurance",
    type=click.IntRange(1000, 100_000_000),
    metavar="N",
    help="Send N small chats to each subject, and see whether its memory grows.",
)
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
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Put the tables into this Markdown page, between its marks, and the plot beside it.",
)
@click.option(
    "--from",
    "earlier",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Show an earlier run's JSON again instead of measuring.",
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
    fits: bool,
    endurance: int | None,
    installing: bool,
    upstream_port: int,
    out: Path | None,
    json_file: Path | None,
    page: Path | None,
    earlier: Path | None,
) -> None:
    """Measure what proxies cost, side by side with what people use instead of them.

    All subjects run at once as real servers on loopback, in front of an upstream that answers with recorded bytes.
    The load comes from a process of its own, in rounds that ask each subject in turn, so that whatever slows the
    machine down slows all of them: trust the ratios, with their intervals, rather than the seconds. A closed loop
    asks again once it is answered; an open loop keeps to a plan, and its latencies count from when a request was due.

    \b
    Subjects:  direct (the upstream itself), echo, nginx, portkey, bare-httpx, bare-litellm, litellm, binary,
               binary-free (on a free upstream), sdk, sdk-workers (two); a gateway's profile (.yaml);
               any URL
    Workloads: chat, prompt-100 (kB), stream-200 (chunks), paced-50, error, messages, agent-50 (turns),
               memory-embedded, memory-supermemory; other sizes, too, such as stream-2000

    \b
    parity bench --quick
    parity bench --out bench/                                        all of it, for a page
    parity bench --subjects direct,binary-free,portkey --workloads chat --connections 1,16,64
    parity bench --fits                                              is the cost a line, and its slope?
    parity bench --endurance 100000                                  is the memory flat?
    parity bench --subject mine=http://127.0.0.1:9000 --upstream-port 8090 --subjects direct,sdk
    parity bench --from bench/bench.json --page docs/performance.md  the tables of an earlier run

    --fits measures prompts, streams and connections of four sizes each, --endurance the memory at 20 places; with
    either the other workloads are left out. What counts as straight and as flat stands under the tables. That a cost
    bends or a memory grows is told, and is no exit code; a line or a memory that couldn't be measured is 1.

    With --subject, let your proxy ask http://127.0.0.1:PORT/v1 of --upstream-port; the model names the workload.

    A subject that doesn't start, or answers otherwise than it should, is INCOMPLETE with the reason, never a number.
    Exit codes: 0 all was measured, 1 something is INCOMPLETE, 2 usage or set-up error.
    """
    if earlier is not None:
        _show(_read(earlier), out, json_file, page)
    if page is not None:
        _page(page, None, markdown.places(fits, bool(endurance)))
    usual = GROWTH_SUBJECTS if fits or endurance else QUICK_SUBJECTS if quick else DEFAULT
    chosen = named(_names(subjects, usual), _urls(urls))
    plan = Plan(
        subjects=chosen,
        workloads=_workloads(workloads, _usual_workloads(quick, fits, endurance)),
        connections={},
        rounds=rounds or (3 if quick else 5),
        seconds=seconds or (0.5 if quick else 1.0),
        warm_up=0.2 if quick else 0.3,
        rate=0 if (quick or fits) and rate is None else rate,
        upstream_port=upstream_port,
        fits=fits,
        endurance=endurance or 0,
    )
    for workload in plan.workloads:
        plan.connections[workload.name] = _connections(connections, workload, quick, fits)
    for path in (out, json_file and json_file.parent):
        if path is not None:
            check_writable(path)
    try:
        with ended_by_sigterm():
            for subject in chosen:
                if installing and subject.profile is not None and missing(subject):
                    install(subject.profile, lambda text: say(text, err=True))
            with progress("bench", Bench(plan).steps) as advance:
                measured = Bench(plan, advance).run()
    except (BenchError, GatewayError) as error:
        raise Unusable(str(error)) from None
    _show(publish(plan, measured, _command()), out, json_file, page)


def _read(path: Path) -> Figures:
    try:
        return Figures.model_validate_json(path.read_bytes())
    except ValidationError:
        raise Unusable(
            f"{path} holds no run of `parity bench`; `parity schema bench` describes one"
        ) from None


def _show(found: Figures, out: Path | None, json_file: Path | None, page: Path | None) -> NoReturn:
    """Write the files, print the tables, and end the process."""
    text = found.model_dump_json(indent=1) + "\n"
    if json_file is not None:
        write_text_atomic(json_file, text)
    if out is not None:
        for name, content in {
            "bench.json": text,
            "bench.md": markdown.render(found),
            "bench.svg": plot.svg(found),
        }.items():
            write_text_atomic(out / name, content)
            say(f"wrote {out / name}", err=True)
    if page is not None:
        _page(page, found, markdown.places(found.with_fits, bool(found.endurance)))
    say(table.text(found))
    sys.exit(found.exit_code)


def _page(path: Path, found: Figures | None, places: tuple[str, ...]) -> None:
    """Put the tables into a page, its plot beside it; without a run only see that it could be done."""
    try:
        text = path.read_text(encoding="utf-8")
        markdown.check(text, places)
    except (OSError, markdown.PageError) as error:
        raise Unusable(f"{path}: {error}") from None
    if found is not None:
        write_text_atomic(path, markdown.page(text, found))
        if places == ("",):  # the plot is that of the workloads
            write_text_atomic(path.with_suffix(".svg"), plot.svg(found))


def _command() -> str:
    """Return the command as it was given, without the names of its files."""
    words = iter(sys.argv[1:])
    kept = ["parity"]
    for word in words:
        if word in ("--out", "--json", "--page"):
            next(words, None)
        elif not word.startswith(("--out=", "--json=", "--page=")):
            kept.append(word)
    return " ".join(kept)


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


def _usual_workloads(quick: bool, fits: bool, endurance: int | None) -> tuple[str, ...]:
    if fits or endurance:
        return FITTED if fits else ()
    return ("chat", "stream-200") if quick else WORKLOADS


def _workloads(given: str | None, usual: tuple[str, ...]) -> list[Workload]:
    try:
        return [find(name) for name in _names(given, usual)]
    except WorkloadError as error:
        raise click.BadParameter(str(error), param_hint="--workloads") from None


def _connections(given: str | None, workload: Workload, quick: bool, fits: bool) -> list[int]:
    if given is None and fits:
        return [1, 16, 64, 256] if workload.name == "chat" else [1]
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

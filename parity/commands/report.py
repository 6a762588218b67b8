"""Defines `parity report` and `parity trend`: other faces of a run that was made before, and what changed since."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from parity import report as reports
from parity.report.html import render_all
from parity.report.reading import read
from parity.report.terminal import show
from parity.report.trend import trend as told
from parity.support.files import write_text_atomic
from proxies.support.terminal import say


@click.command()
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--format",
    "name",
    type=click.Choice(list(reports.FORMATS)),
    default="terminal",
    show_default=True,
    help="The face of the report.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write instead of stdout."
)
def report(results: tuple[Path, ...], name: str, out: Path | None) -> None:
    """Render a run's report.json, or the folder that holds it, in another format.

    Nothing is played, and the same JSON always gives the same bytes. Several reports, such as one of each tier, make
    one page; every other format takes one.

    \b
    parity report parity-report
    parity report parity-report --format markdown --out comment.md
    parity report parity-report --format sarif
    parity report parity-report live-report --format html --out both.html
    """
    if len(results) > 1 and name != "html":
        raise click.UsageError(f"{name} takes one report; only html puts several on one page")
    made = [read(path) for path in results]
    if name == "terminal" and out is None:
        show(made[0])
        return
    text = render_all(made) if len(made) > 1 else reports.FORMATS[name](made[0])
    if out is not None:
        write_text_atomic(out, text)
        say(f"wrote {out}", err=True)
        return
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


@click.command()
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
def trend(results: tuple[Path, ...]) -> None:
    """Tell what changed from one report to the next: versions, scenarios, verdicts, causes.

    \b
    parity trend last-week/report.json parity-report
    """
    if len(results) < 2:
        raise click.UsageError("give two reports or more, the oldest first")
    say(told([(str(path), read(path)) for path in results]))

"""Defines `parity measure` and `parity decide`: what both architectures cost and do, and which one to take."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from parity.commands.group import Unusable
from parity.commands.options import workers_option
from parity.decision import factors, fragment, markdown, weights
from parity.decision.deciding import decide as decided
from parity.decision.model import Decision
from parity.decision.terminal import lines
from parity.measuring import collect
from parity.measuring.model import Measured, MeasureError
from parity.report.html import render_all
from parity.report.reading import read
from parity.support.files import check_writable, write_text_atomic
from proxies.support.terminal import say

quick_option = click.option(
    "--quick", is_flag=True, help="In under five minutes; what there is no time for is left out, and said so."
)
minutes_option = click.option(
    "--minutes",
    type=click.FloatRange(0.1, 24 * 60),
    default=2.0,
    show_default=True,
    help="Minutes of steady load on each architecture.",
)
out_option = click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("measurements"),
    show_default=True,
    help="Folder for a JSON file of each part. What is there and still holds isn't measured again.",
)


@click.command()
@out_option
@quick_option
@minutes_option
@click.option(
    "--part", "only", multiple=True, type=click.Choice(list(collect.PARTS)), help="Only this (repeatable)."
)
@workers_option
def measure(folder: Path, quick: bool, minutes: float, only: tuple[str, ...], workers: str) -> None:
    """Measure what a choice between the architectures needs. Interrupted, it goes on where it was.

    \b
    parity measure --quick
    parity measure --part faults --part soak --minutes 10

    Exit code 1 when a part has no result, and its file says why; not for what --quick left out.
    """
    parts = _measured(collect.Settings(quick, minutes, workers, folder), only)
    for part in parts.values():
        say(f"{part.part}: {part.problem or 'measured'}")
    sys.exit(int(collect.failed(parts)))


@click.command()
@out_option
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Measure nothing: take what is in this folder.",
)
@click.option(
    "--weights",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=weights.SHIPPED,
    help="How much each factor counts (default: parity/decision/weights.yaml, which explains itself).",
)
@quick_option
@minutes_option
@workers_option
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for decision.html and decision.json (default: that of the measurements).",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the decision as Markdown, such as docs/decision.md.",
)
@click.option(
    "--readme",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Put the sentence between the marks <!-- decision --> and <!-- /decision --> of this page.",
)
@click.option("--json", "as_json", is_flag=True, help="Print decision.json instead of the table.")
def decide(
    folder: Path,
    source: Path | None,
    file: Path,
    quick: bool,
    minutes: float,
    workers: str,
    report: Path | None,
    page: Path | None,
    readme: Path | None,
    as_json: bool,
) -> None:
    """Measure both architectures, weigh them, and say which one to take and what would change that.

    \b
    parity decide --quick
    parity decide --from measurements --weights my-weights.yaml

    Exit code 0: decided; 1: a part that was begun has no result, and counts for neither.
    """
    try:
        weighing = weights.load(file, factors.KINDS)
    except weights.WeightsError as error:
        raise Unusable(str(error)) from None
    target = report or source or folder
    check_writable(target)
    settings = collect.Settings(quick, minutes, workers, folder)
    parts = _loaded(source) if source is not None else _measured(settings, ())
    decision = decided(parts, weighing, file.name)
    written = {
        target / "decision.json": decision.model_dump_json(indent=1) + "\n",
        target / "decision.html": _page(decision, parts, source or folder),
        **({page: markdown.render(decision)} if page else {}),
    }
    if readme is not None:
        try:
            written[readme] = markdown.inserted(readme.read_text(encoding="utf-8"), decision)
        except markdown.MarkError as error:
            raise Unusable(f"{readme}: {error}") from None
    for path, text in written.items():
        write_text_atomic(path, text)
        say(f"wrote {path}", err=True)
    for line in [decision.model_dump_json(indent=1)] if as_json else lines(decision):
        say(line)
    sys.exit(int(source is None and collect.failed(parts)))


def _page(decision: Decision, parts: Mapping[str, Measured], folder: Path) -> str:
    """Render the decision, and below it each scenario of the tiers whose reports were kept beside the parts."""
    files = [
        folder / f"{tier}-report.json" for tier in ("live", "mocked") if tier in parts and parts[tier].data
    ]
    reports = [read(file) for file in files if file.is_file()]
    if not reports:
        return fragment.page(decision, parts)
    known = {scenario.id for report in reports for scenario in report.verdict.scenarios}
    return render_all(reports, fragment.section(decision, parts, known), fragment.style())


def _loaded(source: Path) -> dict[str, Measured]:
    try:
        return collect.load(source)
    except MeasureError as error:
        raise Unusable(str(error)) from None


def _measured(settings: collect.Settings, only: tuple[str, ...]) -> dict[str, Measured]:
    check_writable(settings.folder)
    return collect.collect(settings, lambda line: say(line, err=True), only)

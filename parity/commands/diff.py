"""Defines `parity diff`, which compares two observation files."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from parity.commands.options import (
    Unusable,
    finish,
    json_option,
    ledger_option,
    load,
    scenarios_option,
)
from parity.judging.evidence import too_little
from parity.judging.ledger import Ledger, Subject
from parity.judging.verdict import Cell, judge
from parity.observation.file import ObservationFile
from parity.observation.model import Header
from parity.observation.shape import shape
from parity.report.evidence import collect
from proxies.support.terminal import say


@click.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the report files to.",
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
    help="Compare the kinds of values, not the values: for endpoints with real models behind them.",
)
@json_option
@scenarios_option
@ledger_option
def diff(
    left: Path,
    right: Path,
    folder: Path | None,
    if_comparable: bool,
    shapes: bool,
    as_json: bool,
    paths: tuple[Path, ...],
    ledger: Path,
) -> None:
    """Compare two observation files, and judge both by the contract.

    Endpoints that were observed by their URL are compared only: what a scenario expects holds where its own
    provider is behind the target. Where most of a side failed, the comparison is INCOMPLETE: two endpoints that
    refuse everything alike are not equal.

    \b
    parity diff binary.jsonl sdk.jsonl
    parity diff litellm-1.106.jsonl litellm-1.107.jsonl --report out/
    parity diff before.jsonl after.jsonl --shape
    """
    if if_comparable and not left.is_file():
        say(f"nothing to compare with: {left} is not there")
        return
    sides = [ObservationFile.read(left), ObservationFile.read(right)]
    one, other = (side.header for side in sides)
    if apart := _apart(one, other):
        what = f"{left} and {right} {apart}"
        if if_comparable:
            say(f"nothing to compare with: {what}")
            return
        raise Unusable(what)
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
    outside = {h.target for h in (one, other) if shapes or h.endpoint}
    by_id = {s.id: s for s in loaded}
    problems = [
        little
        for side in sides
        if side.header.target in outside
        and (little := too_little(side.header.target, side.observations, by_id))
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
        problems=problems,
        outside=outside,
        shapes_only=shapes,
        subjects={h.target: Subject(h.architecture or h.target, h.litellm) for h in (one, other)},
        today=date.today(),
    )
    finish(
        verdict,
        one.catalogue,
        {h.target: h.versions for h in (one, other)},
        folder,
        evidence=collect(loaded, observations),
        as_json=as_json,
    )


def _apart(one: Header, other: Header) -> str:
    """Return why two files can't be compared; empty when they can."""
    if one.tier != other.tier:
        return f"are of the tiers {one.tier} and {other.tier}; observe both with the same --tier"
    if one.catalogue != other.catalogue:
        return "were made from different scenarios; observe both with the same --scenarios and -k"
    return ""

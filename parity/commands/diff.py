"""Defines `parity diff`, which compares two observation files or more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import click

from parity.commands.group import Unusable
from parity.commands.options import (
    finish,
    json_option,
    ledger_option,
    load,
    majority_option,
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
@click.argument("files", metavar="FILE FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@majority_option
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the report files to.",
)
@click.option(
    "--if-comparable",
    is_flag=True,
    help="Succeed, and say so, when the first is missing or was made from another catalogue.",
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
    files: tuple[Path, ...],
    majority: bool,
    folder: Path | None,
    if_comparable: bool,
    shapes: bool,
    as_json: bool,
    paths: tuple[Path, ...],
    ledger: Path,
) -> None:
    """Compare two or more observation files, and judge all by the contract.

    The first is compared with each of the others, or all with what most of them show (--majority).
    Endpoints that were observed by their URL are compared only: what a scenario expects holds where its own
    provider is behind the target. Where most of a side failed, the comparison is INCOMPLETE: two endpoints that
    refuse everything alike are not equal.

    \b
    parity diff binary.jsonl sdk.jsonl
    parity diff litellm-1.106.jsonl litellm-1.107.jsonl --report out/
    parity diff before.jsonl after.jsonl --shape
    parity diff one.jsonl two.jsonl three.jsonl --majority
    """
    if len(files) < 2:
        raise click.UsageError("name at least two files")
    if if_comparable and not files[0].is_file():
        say(f"nothing to compare with: {files[0]} is not there")
        return
    sides = [ObservationFile.read(file) for file in files]
    if what := _apart(files, [side.header for side in sides]):
        if if_comparable:
            say(f"nothing to compare with: {what}")
            return
        raise Unusable(what)
    _check_names(files, [side.header for side in sides])
    loaded = load(paths)
    by_id = {scenario.id: scenario for scenario in loaded}
    observations = [o for side in sides for o in side.observations]
    if strange := sorted({o.scenario for o in observations} - set(by_id)):
        raise Unusable(f"not in the catalogue: {', '.join(strange[:5])}; give the folder with --scenarios")
    heads = {side.header.target: side.header for side in sides}
    outside = {target for target, head in heads.items() if shapes or head.endpoint}
    problems = [
        little
        for side in sides
        if side.header.target in outside
        and (little := too_little(side.header.target, side.observations, by_id))
    ]
    verdict = judge(
        [Cell(scenario=s, target=t) for s in sorted({o.scenario for o in observations}) for t in heads],
        [shape(o) for o in observations] if shapes else observations,
        loaded,
        Ledger.load(ledger),
        sides[0].header.tier,
        tuple(heads),
        problems=problems,
        outside=outside,
        shapes_only=shapes,
        subjects={t: Subject(h.architecture or h.target, h.litellm) for t, h in heads.items()},
        majority=majority,
        today=date.today(),
    )
    finish(
        verdict,
        sides[0].header.catalogue,
        {t: h.versions for t, h in heads.items()},
        folder,
        evidence=collect(loaded, observations),
        as_json=as_json,
    )


def _apart(files: Sequence[Path], heads: Sequence[Header]) -> str:
    """Return why the files can't be compared; empty when they can."""
    for (one, head), (another, other) in pairwise(zip(files, heads, strict=True)):
        if head.tier != other.tier:
            tiers = f"{head.tier} and {other.tier}"
            return f"{one} and {another} are of the tiers {tiers}; observe both with the same --tier"
        if head.catalogue != other.catalogue:
            how = "observe both with the same --scenarios and -k"
            return f"{one} and {another} were made from different scenarios; {how}"
    return ""


def _check_names(files: Sequence[Path], heads: Sequence[Header]) -> None:
    """Refuse two files of one target: nothing would tell them apart. Raises `Unusable`."""
    names = [head.target for head in heads]
    for name in names:
        if names.count(name) > 1:
            how = "both" if len(files) == 2 else f"{names.count(name)} of the"
            raise Unusable(f"{how} files are of {name!r}; name one of them with `parity observe --name`")

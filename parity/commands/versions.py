"""Defines `parity versions`, `bisect` and `changelog`: what changes from one LiteLLM to another, and with which."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from math import ceil, log2
from pathlib import Path
from typing import Any

import click

from parity.catalogue import loading as catalogues
from parity.catalogue.selection import Selection
from parity.commands.group import Unusable
from parity.commands.options import expression_option, load, scenarios_option
from parity.support.files import write_text_atomic
from parity.versions import changelog as pages
from parity.versions.environments import NotInstallable, releases
from parity.versions.history import SUBJECTS, NotPlayed, Player, Selected, as_json, bisect, short
from proxies.support.terminal import say

subject_option = click.option(
    "--subject",
    "subjects",
    multiple=True,
    type=click.Choice(SUBJECTS),
    help="process or sdk: LiteLLM alone; binary or sdk-proxy: a proxy on it (repeatable).",
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the result as JSON, too.",
)


def _player(paths: Sequence[Path], expression: str, subjects: Sequence[str]) -> Player:
    chosen = list(Selection(expression).of(load(paths).for_tier("live")))
    if not chosen:
        raise Unusable("no scenario is selected; `parity list` shows what there is")
    where = tuple(path.resolve() for path in paths) or (catalogues.BUILT_IN,)
    return Player(Selected(chosen, expression, where, subjects), lambda text: say(text, err=True))


def _made_by(
    command: str, *arguments: str, paths: Sequence[Path], expression: str, subjects: Sequence[str]
) -> str:
    """Return the command that was given, to be read and given again."""
    chosen = [f"--scenarios={path}" for path in paths] + [f"--subject={subject}" for subject in subjects]
    return shlex.join(["parity", command, *arguments, *chosen, *(["-k", expression] if expression else [])])


def _told(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (NotInstallable, NotPlayed) as error:
        raise Unusable(str(error)) from None


@click.command("versions")
@click.argument("wanted", nargs=-1, required=True, metavar="VERSION|FOLDER…")
@scenarios_option
@expression_option
@subject_option
@json_option
def versions_(
    wanted: tuple[str, ...],
    paths: tuple[Path, ...],
    expression: str,
    subjects: tuple[str, ...],
    json_file: Path | None,
) -> None:
    """Play scenarios on several versions of LiteLLM, and tell what changed from each to the next.

    Each gets an environment of its own, kept in the cache; a folder is taken for a copy of LiteLLM. One that can't be
    installed is left out, and said so. Exit code 1: something changed.

    \b
    parity versions 1.106.2 1.110.2 -k 'chat or errors'
    parity versions 1.110.2 ../litellm --subject process
    """
    player = _player(paths, expression, subjects or SUBJECTS)
    steps = player.follow(wanted)
    if json_file:
        write_text_atomic(json_file, as_json(steps))
    made_by = _made_by("versions", *wanted, paths=paths, expression=expression, subjects=subjects)
    say(pages.page(steps, player.selected.scenarios, made_by))
    played = [step for step in steps if not step.problem]
    changed = sum(len(step.changes) for step in steps)
    say(
        f"{len(played)} of {pages.count(len(steps), 'version')} played, {pages.count(changed, 'change')}, "
        f"{pages.count(player.installs, 'install')}, "
        f"{player.seconds:.0f} s"
    )
    sys.exit(2 if len(played) < 2 else 1 if changed else 0)


@click.command("bisect")
@click.option("--good", required=True, metavar="VERSION|FOLDER", help="The version to compare with.")
@click.option("--bad", metavar="VERSION", help="The last version to look at (default: the newest).")
@click.option(
    "--among",
    "among",
    multiple=True,
    metavar="VERSION|FOLDER",
    help="Only these, in this order (repeatable).",
)
@click.option("--path", "under", default="", help="Only changes below this path: '$[0].status'.")
@click.option(
    "--scenario",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="A file of your own.",
)
@expression_option
@click.option("--subject", type=click.Choice(SUBJECTS), default="process", show_default=True)
def bisect_(
    good: str,
    bad: str | None,
    among: tuple[str, ...],
    under: str,
    paths: tuple[Path, ...],
    expression: str,
    subject: str,
) -> None:
    """Find the first LiteLLM in which an observation is another than in the good one.

    \b
    parity bisect --good 1.106.2 --bad 1.110.2 -k 'errors.openai_status[529]' --path '$[0].status'
    """
    player = _player(paths, expression, (subject,))
    line = [good, *among] if among else _told(lambda: releases(good, bad))
    most = ceil(log2(len(line))) + 1
    say(
        f"{len(line)} releases from {line[0]} to {line[-1]}: {pages.count(most, 'install')} at most", err=True
    )
    found = _told(lambda: bisect(player, line, under))
    for change in found.changes:
        say(f"{change.scenario} · {change.subject} · {change.path}")
        say(f"  {found.before}: {short(change.before)}")
        say(f"  {found.first}: {short(change.after)}")
    if found.left_out:
        say(f"left out: {', '.join(found.left_out)}")
    said = f"first changed in {found.first}, last as before in {found.before}" if found.first else "no change"
    if found.between:
        said += f"; unknown of {', '.join(found.between)}, which could not be played"
    took = f"{pages.count(player.installs, 'install')}, {player.seconds:.0f} s"
    say(f"{said} · {len(line)} releases, {took}")
    sys.exit(1 if found.first else 0)


@click.command("changelog")
@click.option("--from", "first", required=True, metavar="VERSION", help="The first release.")
@click.option("--to", "last", metavar="VERSION", help="The last release (default: the newest).")
@click.option(
    "--among",
    "among",
    multiple=True,
    metavar="VERSION|FOLDER",
    help="After the first only these (repeatable).",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the page here.")
@scenarios_option
@expression_option
@subject_option
@json_option
def changelog(
    first: str,
    last: str | None,
    among: tuple[str, ...],
    out: Path | None,
    paths: tuple[Path, ...],
    expression: str,
    subjects: tuple[str, ...],
    json_file: Path | None,
) -> None:
    """Tell for every release of LiteLLM from one to another what changed, as Markdown and as JSON."""
    player = _player(paths, expression, subjects or ("process", "sdk"))
    steps = player.follow([first, *among] if among else _told(lambda: releases(first, last)))
    arguments = [
        f"--from={first}",
        *([f"--to={last}"] if last else []),
        *(f"--among={each}" for each in among),
    ]
    made_by = _made_by("changelog", *arguments, paths=paths, expression=expression, subjects=subjects)
    text = pages.page(steps, player.selected.scenarios, made_by)
    if json_file:
        write_text_atomic(json_file, as_json(steps))
    if out:
        write_text_atomic(out, text)
    else:
        say(text)
    took = f"{pages.count(player.installs, 'install')}, {player.seconds:.0f} s"
    say(f"{pages.count(len(steps), 'release')}, {took}", err=True)
    sys.exit(0 if any(not step.problem for step in steps) else 2)

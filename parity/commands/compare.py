"""Defines `parity compare`, which asks two endpoints the same, each of them twice, and tells what differs."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import click

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.catalogue.strangers import for_strangers, tokens_of
from parity.commands.clients import asked_by, client_option
from parity.commands.group import Unusable
from parity.commands.observe import playable_on_urls, requests_of
from parity.commands.options import (
    agreed,
    expression_option,
    finish,
    header_option,
    key_from,
    load,
    scenarios_option,
)
from parity.judging.evidence import too_little
from parity.judging.ledger import Ledger
from parity.judging.noise import noise, place, without
from parity.judging.verdict import Cell, judge
from parity.observation.file import versions
from parity.observation.model import Observation
from parity.observation.outcome import tally
from parity.observation.shape import shape
from parity.provider.control import ProviderControl
from parity.report.evidence import collect
from parity.support.progress import progress
from parity.targets.endpoint import Words, ask_first
from parity.targets.official import Player
from parity.targets.target import UrlTarget, host_of
from proxies.support.terminal import say

FIRST_MODEL = "chat.plain"
"""The scenario that answers the first question where `parity provider` stands behind an endpoint."""


@dataclass
class Side:
    """Holds an endpoint, what it answered, each time, and how long that took."""

    target: UrlTarget
    words: Words
    rounds: list[list[Observation]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def _side_options(side: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def wrap(function: Callable[..., None]) -> Callable[..., None]:
        for option in (
            header_option(f"--{side}-header", f"{side}_headers", text=f"A header for the {side} one alone."),
            click.option(f"--{side}-model", help=f"The model to ask the {side} one for."),
            click.option(
                f"--{side}-key-env",
                default="PARITY_API_KEY",
                show_default=True,
                help=f"The environment variable with the {side} one's key.",
            ),
            click.option(f"--{side}-name", help=f"What to call the {side} one (default: host and port)."),
        ):
            function = option(function)
        return function

    return wrap


@click.command()
@click.argument("left_url", metavar="URL1")
@click.argument("right_url", metavar="URL2")
@click.option("--model", default="", help="The model to ask both for.")
@_side_options("right")
@_side_options("left")
@header_option("--header", "headers", text="A header for both (repeatable).")
@click.option(
    "--provider",
    "provider_url",
    help="Where `parity provider` stands behind both: its URL. Each scenario's own provider answers then.",
)
@client_option
@click.option(
    "--ignore", "ignored", multiple=True, metavar="PATH", help="A path as differences show it: no difference."
)
@click.option(
    "--shape/--exact", "shapes", default=None, help="Compare kinds of values, or values (default: see above)."
)
@click.option("--once", is_flag=True, help="Don't ask each endpoint a second time to know its noise.")
@click.option(
    "--max-requests", type=click.IntRange(1), default=2000, show_default=True, help="Refuse to send more."
)
@click.option("--yes", is_flag=True, help="Start without asking.")
@click.option(
    "--report", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for the report."
)
@scenarios_option
@expression_option
def compare(
    left_url: str,
    right_url: str,
    model: str,
    headers: dict[str, str],
    provider_url: str | None,
    player: Player | None,
    ignored: tuple[str, ...],
    shapes: bool | None,
    once: bool,
    max_requests: int,
    yes: bool,
    folder: Path | None,
    paths: tuple[Path, ...],
    expression: str,
    **given: str | dict[str, str] | None,
) -> None:
    """Ask two endpoints the same, and tell what differs, by cause.

    Each is asked everything twice: where it differs from itself is noise, and no difference. Values are compared
    where both repeat themselves word for word; where one doesn't, a real model answers, and kinds of values are
    compared.
    Without -k the scenarios are those that any endpoint of OpenAI's chat API can be asked.

    \b
    parity compare http://127.0.0.1:4000 https://api.openai.com --model gpt-4o-mini --right-key-env OPENAI_API_KEY
    parity compare URL1 URL2 --left-model a --right-model b -k 'chat and not tool' --report out/
    parity compare URL1 URL2 --provider http://127.0.0.1:8090 --yes
    parity compare URL1 URL2 --model gpt-4o-mini --client openai
    """
    for path in ignored:
        if not path.startswith("$"):
            raise click.BadParameter(f"a path is written as differences show it, from $ on, not {path!r}")
    sides = [
        _side(name, url, model, headers, given, provider_url is not None)
        for name, url in (("left", left_url), ("right", right_url))
    ]
    loaded = load(paths)
    live = loaded.for_tier("live")
    chosen = Selection(expression).of(live) if expression or paths or provider_url else for_strangers(live)
    if player is not None:
        chosen = asked_by(player, chosen)
        for side in sides:
            side.target = replace(side.target, player=player)
    playable = playable_on_urls(chosen)
    for side in sides:
        asked = replace(side.target, model=side.target.model or FIRST_MODEL)
        asyncio.run(ask_first(asked, playable, side.words))
    _announce(sides, playable, once, max_requests, yes)
    rounds = 1 if once else 2
    with progress("compare", len(playable) * len(sides) * rounds) as advance:
        asyncio.run(_ask_in_turn(sides, playable, rounds, provider_url, advance))
    _tell(sides, playable, loaded, shapes, ignored, folder)


def _side(
    name: str,
    url: str,
    model: str,
    headers: dict[str, str],
    given: dict[str, str | dict[str, str] | None],
    has_provider: bool,
) -> Side:
    if "://" not in url:
        raise click.BadParameter(f"{url!r} is no URL: it begins with http:// or https://")
    variable = str(given[f"{name}_key_env"])
    asked = str(given[f"{name}_model"] or model)
    if not asked and not has_provider:
        raise click.UsageError(f"the {name} endpoint needs a model: --model for both, or --{name}-model")
    own = given[f"{name}_headers"]
    target = UrlTarget(
        f"{given[f'{name}_name'] or host_of(url)}",
        url,
        key_from(variable),
        asked,
        {**headers, **(own if isinstance(own, dict) else {})},
    )
    words = Words(f"URL of the {name} endpoint", f"--{name}-model", f"--{name}-key-env", variable)
    return Side(target, words)


def _announce(
    sides: Sequence[Side], playable: Sequence[Scenario], once: bool, max_requests: int, yes: bool
) -> None:
    """Say what will be asked, and ask whether to go on. Raises `Unusable`."""
    if sides[0].target.name == sides[1].target.name:
        for side, name in zip(sides, ("left", "right"), strict=True):
            side.target = replace(side.target, name=name)
    each = requests_of(playable) * (1 if once else 2)
    total = each * len(sides)
    what = (
        f"{len(playable)} scenarios: {total} requests ({each} to {sides[0].target.name}, {each} to "
        f"{sides[1].target.name}), about {tokens_of(playable) * (1 if once else 2):,} tokens at each"
    )
    if total > max_requests:
        raise Unusable(f"{what}: that is more than --max-requests {max_requests}; -k chooses fewer scenarios")
    agreed(what, yes)


async def _ask_in_turn(
    sides: Sequence[Side],
    playable: Sequence[Scenario],
    rounds: int,
    provider_url: str | None,
    advance: Callable[[str], None],
) -> None:
    """Ask both the same scenario before the next one, so that what changes with time changes for both."""
    for side in sides:
        side.rounds = [[] for _ in range(rounds)]
    control = ProviderControl(provider_url) if provider_url else None
    try:
        for scenario in playable:
            for number in range(rounds):
                for side in sides:
                    if control is not None:
                        await control.forget_all()
                    begun = time.perf_counter()
                    side.rounds[number].append(await side.target.observe(scenario))
                    side.seconds.append(time.perf_counter() - begun)
                    advance(scenario.id)
    finally:
        if control is not None:
            await control.aclose()


def _tell(
    sides: Sequence[Side],
    playable: Sequence[Scenario],
    loaded: Catalogue,
    shapes: bool | None,
    ignored: Sequence[str],
    folder: Path | None,
) -> NoReturn:
    by_id = {scenario.id: scenario for scenario in playable}
    problems = [
        little
        for side in sides
        if (little := too_little(side.target.name, side.rounds[0], by_id)) is not None
    ]
    if shapes is None:
        shapes = any(noise(*side.rounds) for side in sides if len(side.rounds) > 1)
    rounds = [[[shape(o) for o in one] if shapes else one for one in side.rounds] for side in sides]
    noisy = [noise(*each) for each in rounds if len(each) > 1]
    names = [side.target.name for side in sides]
    verdict, in_noise, left_out = without(
        judge(
            [Cell(scenario=s.id, target=name) for s in playable for name in names],
            [o for each in rounds for o in each[0]],
            loaded,
            Ledger(),
            "live",
            names,
            problems=problems,
            outside=set(names),
            shapes_only=shapes,
        ),
        noisy,
        [place(path) for path in ignored],
    )
    for side, own in zip(sides, noisy, strict=False):
        places = sorted(set().union(*own.values()))
        if places:
            say(
                f"{side.target.name} differs from itself in {len(own)} scenarios: {', '.join(places[:5])}",
                err=True,
            )
    for side in sides:
        say(f"{side.target.name}: {tally(side.rounds[0])}; {_latency(side.seconds)}")
    if in_noise or left_out:
        say(f"left aside: {in_noise} differences in noise, {left_out} by --ignore")
    evidence = collect(playable, [o for each in rounds for o in each[0]])
    finish(verdict, loaded.select(by_id).hash, dict.fromkeys(names, versions()), folder, evidence=evidence)


def _latency(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    slow = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {statistics.median(ordered) * 1000:.0f} ms, 95 % within {slow * 1000:.0f} ms"

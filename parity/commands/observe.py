"""Defines `parity observe`, which plays scenarios on one target and writes an observation file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import click

from parity import matrix
from parity.catalogue.scenario import Scenario, Tier
from parity.catalogue.selection import Selection
from parity.commands.clients import asked_by, client_option
from parity.commands.group import Unusable
from parity.commands.options import (
    expression_option,
    header_option,
    key_from,
    ledger_option,
    litellm_option,
    load,
    refuse,
    scenarios_option,
    tier_option,
    workers_option,
)
from parity.judging.evidence import too_little
from parity.observation.file import ObservationFile, header, versions
from parity.observation.model import Header, Observation
from parity.observation.outcome import tally
from parity.support.progress import progress
from parity.targets.arms import Arm
from parity.targets.endpoint import Words, ask_first
from parity.targets.official import Player
from parity.targets.target import UrlTarget, host_of
from proxies.support.terminal import say


@click.command()
@click.option(
    "--target", "target_name", required=True, help="binary, sdk, or a base URL such as http://127.0.0.1:4000"
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Observation file to write."
)
@click.option("--model", help="With a URL: the model to ask for instead of each scenario's own.")
@click.option(
    "--name", help="The target's name in the file (default: binary, sdk, or the URL's host and port)."
)
@click.option(
    "--api-key-env",
    default="PARITY_API_KEY",
    show_default=True,
    help="With a URL: the environment variable that holds its API key.",
)
@header_option("--header", "headers", text="With a URL: a header of every request (repeatable).")
@client_option
@tier_option
@scenarios_option
@expression_option
@workers_option
@ledger_option
@litellm_option
@click.pass_context
def observe(
    context: click.Context,
    target_name: str,
    out: Path,
    model: str | None,
    name: str | None,
    api_key_env: str,
    headers: dict[str, str],
    player: Player | None,
    tier: Tier,
    paths: tuple[Path, ...],
    expression: str,
    workers: str,
    ledger: Path,
    litellm: str | None,
) -> None:
    """Play the scenarios on one target and write down what was seen.

    The file can be compared with another one, made elsewhere or with other versions: see `parity diff`.
    A URL is any OpenAI-compatible endpoint; only what its client sees is observed. It is asked for its models and
    for one answer first: what refuses these is not observed. The last line counts what came.

    \b
    parity observe --target sdk --out sdk.jsonl
    parity observe --target sdk --tier live --name litellm-1.106 --out 1.106.jsonl
    parity observe --target http://127.0.0.1:4000 --model gpt-4o-mini -k chat --out now.jsonl
    """
    loaded = load(paths)
    if "://" in target_name:
        refuse(context, ("tier", "workers", "ledger", "litellm"), "without effect on a URL")
        if not model:
            raise click.UsageError("a URL needs --model: the name to ask for")
        key = key_from(api_key_env)
        url = UrlTarget(name or host_of(target_name), target_name, key, model, headers, player)
        chosen = Selection(expression).of(loaded.for_tier("live"))
        if player is not None:
            chosen = asked_by(player, chosen)
        observations: Sequence[Observation] = _ask(url, chosen, Words(key_variable=api_key_env))
        head = Header(target=url.name, tier="live", catalogue="", endpoint=True, versions=versions())
    elif target_name in get_args(Arm):
        refuse(context, ("model", "api_key_env", "headers", "player"), "only for a URL")
        arm: Arm = target_name  # type: ignore[assignment]
        plan = matrix.Plan(tier, (arm,), paths, expression, workers, ledger, litellm)
        done, made_with = matrix.play(loaded, plan)
        observations = [o.model_copy(update={"target": name or arm}) for o in done.observations]
        if not done.verdict.complete or done.crashes:
            for text in (*done.crashes.values(), *done.verdict.problems):
                say(text, err=True)
            raise Unusable(done.verdict.line)
        head = header(name or arm, arm, tier, "", made_with[arm])
    else:
        raise click.UsageError(f"--target is binary, sdk or a URL, not {target_name!r}")
    planned = loaded.select(o.scenario for o in observations)
    ObservationFile(head.model_copy(update={"catalogue": planned.hash}), tuple(observations)).write(out)
    say(f"wrote {out}: observations of {head.target}")
    little = None
    if head.endpoint:
        little = too_little(head.target, observations, {scenario.id: scenario for scenario in planned})
    if little:
        say(little, err=True)
    say(tally(observations))
    if little:
        sys.exit(2)


def playable_on_urls(chosen: Sequence[Scenario]) -> list[Scenario]:
    """Return the scenarios that a URL can be asked, and say which can't be. Raises `Unusable` for none."""
    # A hang-up before the answer has to know when the provider has the call, which a URL doesn't tell.
    playable = [s for s in chosen if all(request.hang_up_after != 0 for request in s.client)]
    for scenario in chosen:
        if scenario not in playable:
            say(f"left out: {scenario.id} can't be played on a URL", err=True)
    if not playable:
        raise Unusable(
            "no scenario is selected that can be played on a URL; `parity list` shows what there is"
        )
    return playable


def requests_of(scenarios: Sequence[Scenario]) -> int:
    return sum(len(scenario.client) for scenario in scenarios)


async def ask_all(
    url: UrlTarget, scenarios: Sequence[Scenario], advance: Callable[[str], None]
) -> list[Observation]:
    """Observe an endpoint, one scenario after the other."""
    seen = []
    for scenario in scenarios:
        seen.append(await url.observe(scenario))
        advance(scenario.id)
    return seen


def _ask(url: UrlTarget, chosen: Sequence[Scenario], words: Words) -> list[Observation]:
    """Observe an endpoint; raises `EndpointError` when it can't be asked so."""
    playable = playable_on_urls(chosen)
    asyncio.run(ask_first(url, playable, words))
    say(
        f"{requests_of(playable)} requests to {host_of(url.url)} ({len(playable)} scenarios); -k chooses among them",
        err=True,
    )
    with progress(url.name, len(playable)) as advance:
        return asyncio.run(ask_all(url, playable, advance))

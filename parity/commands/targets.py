"""Plays any number of targets: proxies by the matrix, gateways by their profiles, and one verdict on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import click

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.commands.group import Unusable
from parity.gateways import profile as profiles
from parity.gateways.judging import play_gateway
from parity.gateways.process import GatewayError
from parity.gateways.profile import Profile
from parity.judging.ledger import Ledger, Subject
from parity.judging.verdict import Cell, Verdict, judge
from parity.matrix import MatrixError, Plan, play
from parity.observation.file import ObservationFile, header, versions
from parity.observation.model import Header
from parity.support.interrupts import ended_by_sigterm
from parity.support.progress import progress
from parity.targets.arms import ARMS, arm_of
from parity.targets.official import Player
from proxies.support.terminal import say


@dataclass(frozen=True)
class Done:
    """Holds the verdict, and a file of observations for each target."""

    verdict: Verdict
    files: tuple[ObservationFile, ...]
    crashes: dict[str, str]


def _named(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise click.BadParameter(f"{value!r} has an empty name; write them as binary,sdk")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise click.BadParameter(f"{doubled[0]} stands there twice")
    return names


targets_option = click.option(
    "--targets",
    default=",".join(ARMS),
    show_default=True,
    metavar="NAME,NAME,…",
    callback=_named,
    help="What plays the scenarios; the first is what the others are compared with.",
)


def play_all(loaded: Catalogue, plan: Plan, player: Player | None = None) -> Done:
    """Play the plan's targets, whatever they are. Raises `Unusable`, `ProfileError` and what `play` raises.

    Where an official client asks, `player`, each is a gateway, our proxies by their profiles.
    """
    gateways = {name: profiles.find(name) for name in plan.arms if player or not _is_arm(name)}
    if gateways and plan.tier != "live":
        why = "is a gateway" if player is None else f"is asked by the client {player}"
        raise Unusable(f"{next(iter(gateways))} {why}, which only plays with --tier live")
    if player is None and (doubled := {profile.name for profile in gateways.values()} & set(ARMS)):
        raise Unusable(f"{sorted(doubled)[0]} is the name of a proxy; give the profile another one")
    arms = [name for name in plan.arms if name not in gateways]
    files: dict[str, ObservationFile] = {}
    crashes: dict[str, str] = {}
    problems: list[str] = []
    cells: list[Cell] = []
    if arms:
        done, made_with = play(loaded, replace(plan, arms=arms))
        crashes = done.crashes
        problems = [*done.verdict.problems, *(f"could not be played: {node}" for node in crashes)]
        cells = [Cell(scenario=s.id, target=t) for s in done.verdict.scenarios for t in s.cells]
        for name in arms:
            seen = tuple(o for o in done.observations if o.target == name)
            hash_ = loaded.select(o.scenario for o in seen).hash
            files[name] = ObservationFile(
                header(name, arm_of(name)[0], plan.tier, hash_, made_with[name]), seen
            )
        if not gateways:
            return Done(done.verdict, tuple(files.values()), crashes)
    chosen = Selection(plan.expression).of(loaded.for_tier("live"))
    for name, profile in gateways.items():
        files[name] = _gateway(profile, chosen, loaded, player)
        cells += [
            Cell(scenario=o.scenario, target=file.header.target)
            for file in [files[name]]
            for o in file.observations
        ]
    in_order = [files[name] for name in plan.arms]
    return Done(_verdict(loaded, plan, in_order, cells, problems), tuple(in_order), crashes)


def _is_arm(name: str) -> bool:
    try:
        arm_of(name)
    except ValueError:
        return False
    return True


def _gateway(
    profile: Profile, chosen: Sequence[Scenario], loaded: Catalogue, player: Player | None
) -> ObservationFile:
    with progress(profile.name, len(chosen)) as advance, ended_by_sigterm():
        try:
            played = play_gateway(
                profile, chosen, say=lambda text: say(text, err=True), advance=advance, player=player
            )
        except GatewayError as error:
            raise Unusable(str(error)) from None
    for reason, count in sorted(played.reasons.items()):
        say(f"{profile.name}: not applicable: {count} × {reason}", err=True)
    head = Header(
        target=profile.name,
        tier="live",
        catalogue=loaded.select(scenario.id for scenario in played.owing).hash,
        endpoint=True,
        versions={**versions(), profile.name: profile.shown_version},
    )
    return ObservationFile(head, tuple(played.seen))


def _verdict(
    loaded: Catalogue,
    plan: Plan,
    files: Sequence[ObservationFile],
    cells: Sequence[Cell],
    problems: Sequence[str],
) -> Verdict:
    if not cells:
        raise MatrixError("no scenario is selected that applies; `parity list` shows what there is")
    return judge(
        cells,
        [observation for file in files for observation in file.observations],
        loaded,
        Ledger.load(plan.ledger),
        plan.tier,
        [file.header.target for file in files],
        problems=problems,
        outside={file.header.target for file in files if file.header.endpoint},
        subjects={
            f.header.target: Subject(f.header.architecture or f.header.target, f.header.litellm)
            for f in files
        },
        majority=plan.majority,
        today=date.today(),
    )

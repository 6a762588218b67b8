"""Holds the option `--client`: which official client asks, and the scenarios that it can't ask, counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import click

from parity.catalogue.scenario import Scenario
from parity.commands.group import Unusable
from parity.targets.official import PLAYERS, Player, why_not_asked
from proxies.support.terminal import say


def _installed(_context: click.Context, _option: click.Parameter, value: Player | None) -> Player | None:
    if value is not None and find_spec(value) is None:
        raise Unusable(f"the client {value} isn't installed: pip install {value}")
    return value


client_option = click.option(
    "--client",
    "player",
    type=click.Choice(PLAYERS),
    callback=_installed,
    help="The official Python client that asks, with its own retries; what it can't ask is left out, and counted.",
)


def asked_by(player: Player, chosen: Sequence[Scenario]) -> list[Scenario]:
    """Return the scenarios that an official client can ask, and count the others by reason."""
    reasons = {scenario.id: why_not_asked(scenario, player) for scenario in chosen}
    for reason, count in sorted(Counter(filter(None, reasons.values())).items()):
        say(f"left out: {count} × {reason}", err=True)
    return [scenario for scenario in chosen if reasons[scenario.id] is None]

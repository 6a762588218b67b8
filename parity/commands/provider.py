"""Defines `parity provider`, which plays the scenarios' provider on a port, for anyone's tests."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from parity.catalogue.scenario import Scenario
from parity.catalogue.selection import Selection
from parity.commands.group import Unusable
from parity.commands.options import expression_option, load, one, scenarios_option
from parity.provider.server import StubProvider
from proxies.support.terminal import say


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="The port to listen on.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--default", "default", metavar="SCENARIO", help="Played for requests that name no scenario of their own."
)
@scenarios_option
@expression_option
def provider(port: int, host: str, default: str | None, paths: tuple[Path, ...], expression: str) -> None:
    """Stand in for OpenAI, Anthropic and Groq: answer with the scenarios' provider, byte for byte.

    A request names its scenario as the model, as the key, in the header x-parity-scenario, or first in the path.
    What was received is at GET /_control; DELETE /_control forgets it. The first line says where it listens.

    \b
    parity provider --port 8090
    parity provider --scenarios my-scenarios/ --default chat.mine
    curl http://127.0.0.1:8090/v1/chat/completions -d '{"model": "chat.plain"}'
    """
    loaded = load(paths)
    if default is not None:
        one(loaded, default)
    chosen = Selection(expression).of(loaded)
    if default is not None and default not in {scenario.id for scenario in chosen}:
        chosen.append(loaded[default])
    try:
        asyncio.run(_serve(chosen, (host, port), default))
    except OSError as error:
        raise Unusable(f"can't listen on {host}:{port}: {error}; --port 0 takes a free port") from None


async def _serve(chosen: list[Scenario], place: tuple[str, int], default: str | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with StubProvider(chosen, place=place, default=default) as served:
        say(f"listening on {served.url}")
        say(f"{len(chosen)} scenarios; GET {served.url}/_control lists them and what was received", err=True)
        await stop.wait()

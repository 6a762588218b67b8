"""Options that several commands have."""

from __future__ import annotations

import math
from typing import Any

import click

from proxies.server import serving


class _Seconds(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # neither below the range nor above it
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


workers_option = click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Processes that serve, on one address; with a LiteLLM in each, or a LiteLLM process for each.",
)
grace_option = click.option(
    "--grace",
    metavar="SECONDS",
    default=serving.GRACE,
    show_default=True,
    type=_Seconds(0, 86_400),
    help="How long answers under way may take after SIGTERM or Ctrl+C; a second one ends them at once.",
)

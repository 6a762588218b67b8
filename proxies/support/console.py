"""Prints tables and colours as rich does; a command that only says a line needs no rich, and imports none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from proxies.support.terminal import printable


class SafeConsole(Console):
    """Renders as rich's console does, and escapes what is in the texts; its own colours still work."""

    def render_str(
        self, text: str, **options: Any
    ) -> Text:  # also measured: a table's columns are wide enough
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)

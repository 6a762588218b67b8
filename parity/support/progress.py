"""Shows the progress of long work: on standard error, only on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from proxies.support.console import SafeConsole


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with the name of each thing done. Silent when stderr is no terminal."""
    console = SafeConsole(stderr=True)
    if not console.is_terminal:  # rich's own `disable` still ends with an empty line
        yield lambda name: None
        return
    columns = (
        TextColumn("[bold]{task.fields[label]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, label=label)
        yield lambda name: bar.update(task, advance=1, description=name)

"""Adds up the metrics of all workers of one proxy, so that whichever answers `GET /metrics` shows the whole.

    worker ── counts, times ──> files of its own in the shared folder, which outlive it ──┐
    worker ── gauges, every second ──> a file that goes with it ──────────────────────────┼──> added up
    /proc ── memory, CPU and files of the workers that live ──────────────────────────────┘

prometheus_client's way of many processes, which it takes from an environment variable; here it is set only while the
metrics are made, since LiteLLM in a process of its own would obey it, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Metric, ProcessCollector, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from proxies.shared import Shared

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_EVERY = 1.0
"""Seconds between two looks at the gauges of a worker."""
_LOWEST = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Values that make no sense added up."""


def folder_of(shared: Shared) -> Path | None:
    """Return where the workers' metrics are; None for a proxy of one process."""
    return shared.folder / "metrics" if shared.folder is not None else None


@contextlib.contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Let the metrics that this process makes from now on be kept in files in the folder, for all workers to read.

    What is made inside must have a value of each kind, counter, histogram and gauge: later no file can be opened.
    """
    if folder is None:
        yield
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if before is not None:
            os.environ[_VARIABLE] = before


GAUGES: Final = "livesum"
"""How gauges of many processes are one: the sum, of those that live."""


class Gauges:
    """Gauges of functions, which are asked when the metrics are, or, where others read them, every second."""

    def __init__(self, registry: CollectorRegistry, folder: Path | None) -> None:
        self._registry = registry
        self._shared = folder is not None
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []

    def add(self, name: str, help: str, value: Callable[[], float]) -> None:
        if self._shared:
            gauge = Gauge(name, help, registry=self._registry, multiprocess_mode=GAUGES)
            self._gauges.append((gauge, value))
        else:
            Gauge(name, help, registry=self._registry).set_function(value)

    def look(self) -> None:
        """Write down what the functions say now, where others read it."""
        for gauge, value in self._gauges:
            gauge.set(value())

    @contextlib.contextmanager
    def looked_at(self) -> Iterator[None]:
        """While inside, look every second; by a timer, since a task would be counted among the tasks."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def again() -> None:
            nonlocal timer
            self.look()
            timer = loop.call_later(_EVERY, again)

        if self._shared:
            again()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()


def forget(shared: Shared, pid: int) -> None:
    """Let the gauges of a worker that has ended no longer count; what it has counted stays."""
    folder = folder_of(shared)
    if folder is not None and folder.is_dir():
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def of_all(folder: Path, shared: Shared) -> CollectorRegistry:
    """Return the metrics of all workers, with those of their processes."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    registry.register(_Processes(shared))
    return registry


class _Processes(Collector):
    """Adds up what the kernel says of the workers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for number in filter(None, self._shared.pids.each()):
            for metric in ProcessCollector(pid=lambda pid=number: pid, registry=None).collect():  # type: ignore[misc]
                known = found.setdefault(metric.name, metric)
                if known is metric:
                    continue
                for sample, more in zip(known.samples, metric.samples, strict=True):
                    added = (
                        min(sample.value, more.value) if sample.name in _LOWEST else sample.value + more.value
                    )
                    known.samples = [s._replace(value=added) if s is sample else s for s in known.samples]
        yield from found.values()

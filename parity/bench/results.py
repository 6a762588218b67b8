"""Turns samples into what is published: figures, ratios, fits, and what of it is stable."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from parity.bench import endurance, fits, loops, sizes
from parity.bench.model import (
    Bench,
    Cell,
    Figure,
    Machine,
    MeasuredSubject,
    MeasuredWorkload,
    Ratio,
    Settings,
    Stability,
)
from parity.bench.run import Measured, Outcome, Plan, Samples
from parity.bench.statistics import quantile, ratio, spread
from parity.bench.subjects import DIRECT, first_version
from parity.bench.workloads import Workload
from parity.support.cores import cores

AGAINST = ("litellm", "bare-litellm", "portkey", DIRECT)
ALONE = {"sdk-workers": ("sdk",)}
"""With whom a subject is compared that has several processes."""
PACKAGES = ("proxy-parity", "litellm", "fastapi", "uvicorn", "httpx", "aiohttp", "uvloop", "httptools")
GATE = 0.05
"""The spread up to which a figure is stable enough for a gate."""
OF_TIME = "seconds depend on the machine and on what else runs on it: compare ratios of one run"

OF_MEMORY = "a process keeps what earlier rounds took"


def publish(plan: Plan, measured: Measured, command: str) -> Bench:
    """Build the report of a run."""
    cells = [_cell(samples) for samples in measured.samples]
    cells = _bounded(cells, plan.headroom)
    return Bench(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        machine=machine(),
        settings=Settings(
            rounds=plan.rounds,
            seconds=plan.seconds,
            warm_up=plan.warm_up,
            connections=sorted({n for several in plan.connections.values() for n in several}),
            headroom=plan.headroom,
            seed=plan.seed,
            loop=loops.name(),
        ),
        subjects=[_subject(outcome) for outcome in measured.outcomes],
        workloads=[_workload(workload) for workload in plan.workloads],
        cells=cells,
        ratios=_ratios(cells),
        stability=_stability(cells),
        fits=fits.fits(cells, plan.workloads),
        missing_fits=fits.missing(cells, plan.workloads, [s.name for s in plan.subjects])
        if plan.fits
        else [],
        endurance=[endurance.published(seen) for seen in measured.endured],
        problems=_problems(plan, cells),
    )


def _cell(samples: Samples) -> Cell:
    state = "NOT_APPLICABLE" if not samples.applies else "INCOMPLETE" if samples.reason else "MEASURED"
    return Cell.model_validate(
        {
            "subject": samples.subject,
            "workload": samples.workload,
            "load": "open" if samples.rate is not None else "closed",
            "connections": samples.connections,
            "rate": samples.rate,
            "state": state,
            "reason": samples.reason,
            "requests": samples.requests,
            "figures": {name: figure(values) for name, values in samples.figures.items()},
        }
    )


def figure(values: Sequence[float]) -> Figure:
    """Sum up the samples of the rounds."""
    rounded = [float(f"{value:.6g}") for value in values]
    return Figure(
        median=median(rounded),
        low=min(rounded),
        high=max(rounded),
        spread=round(spread(rounded), 4),
        samples=rounded,
    )


def _bounded(cells: Sequence[Cell], headroom: float) -> list[Cell]:
    """Mark the cells in which the upstream and the load alone did less than `headroom` times as much."""
    alone = {
        (cell.workload, cell.connections): cell.figures["requests_per_s"].median
        for cell in cells
        if cell.subject == DIRECT and cell.load == "closed" and cell.figures
    }
    found = []
    for cell in cells:
        most = alone.get((cell.workload, cell.connections))
        paced = cell.workload.startswith("paced-")  # as fast as the pace, whoever is asked
        if (
            cell.load == "closed"
            and cell.figures
            and not paced
            and most is not None
            and cell.subject != DIRECT
        ):
            bound = most < headroom * cell.figures["requests_per_s"].median
            found.append(cell.model_copy(update={"lower_bound": bound}))
        else:
            found.append(cell)
    return found


def _ratios(cells: Sequence[Cell]) -> list[Ratio]:
    found = []
    by_place = {(c.subject, c.workload, c.load, c.connections): c for c in cells if c.figures}
    for cell in by_place.values():
        for against in (*AGAINST, *ALONE.get(cell.subject, ())):
            other = by_place.get((against, cell.workload, cell.load, cell.connections))
            if other is None or against == cell.subject:
                continue
            for name in cell.figures.keys() & other.figures.keys():
                if not other.figures[name].median or 0.0 in other.figures[name].samples:
                    continue
                whole, low, high = ratio(cell.figures[name].samples, other.figures[name].samples)
                found.append(
                    Ratio(
                        subject=cell.subject,
                        against=against,
                        workload=cell.workload,
                        load=cell.load,
                        connections=cell.connections,
                        figure=name,
                        ratio=round(whole, 4),
                        low=None if low is None else round(low, 4),
                        high=None if high is None else round(high, 4),
                    )
                )
    return sorted(found, key=lambda r: (r.against, r.workload, r.load, r.connections, r.subject, r.figure))


def _stability(cells: Sequence[Cell]) -> list[Stability]:
    """Say of each figure how far the rounds lay apart in nine of ten cells, and whether a gate could hold it."""
    spreads: dict[str, list[float]] = {}
    for cell in cells:
        for name, one in cell.figures.items():
            if len(one.samples) > 1:
                spreads.setdefault(name, []).append(one.spread)
    found = []
    for name, seen in spreads.items():
        usual = quantile(sorted(seen), 0.9)
        steady = usual <= GATE
        if name.startswith("cpu"):
            why = "CPU time depends little on what else runs" if steady else "it varied too much in this run"
        elif name == "memory_mb":
            why = OF_MEMORY
        else:
            why = OF_TIME
        found.append(
            Stability(figure=name, spread=round(usual, 4), gate=steady and name.startswith("cpu"), why=why)
        )
    return found


def _problems(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    found = []
    if DIRECT not in {subject.name for subject in plan.subjects}:
        found.append("the upstream alone wasn't measured, so nothing proves that it wasn't the bottleneck")
    bound = sorted({cell.subject for cell in cells if cell.lower_bound})
    if bound:
        found.append(
            f"the upstream and the load alone aren't {plan.headroom:g} times as fast as {', '.join(bound)} everywhere: "
            "there they may be faster than is seen (marked ≥)"
        )
    if loops.name() != "uvloop":
        found.append(
            "uvloop isn't installed here, so the upstream and the load are slower than they could be"
        )
    if plan.rounds < 3:
        found.append("with fewer than three rounds ratios have no interval")
    return found


def _subject(outcome: Outcome) -> MeasuredSubject:
    running = outcome.running
    size = sizes.install_mb(outcome.subject)
    return MeasuredSubject(
        name=outcome.subject.name,
        title=outcome.subject.title,
        version=outcome.subject.version,
        state="MEASURED" if running is not None else "INCOMPLETE",
        reason=outcome.reason,
        cold_start_s=None if running is None or running.seconds is None else round(running.seconds, 2),
        install_mb=None if size is None else round(size, 1),
        rest_mb=None if outcome.rest_mb is None else round(outcome.rest_mb, 1),
        peak_mb=None if outcome.peak_mb is None else round(outcome.peak_mb, 1),
    )


def _workload(workload: Workload) -> MeasuredWorkload:
    return MeasuredWorkload(
        name=workload.name,
        title=workload.title,
        path=workload.path,
        request_bytes=len(workload.request(workload.name)),
        chunks=workload.chunks,
    )


def machine() -> Machine:
    """Describe this machine, without its name."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    for program, option in (("node", "--version"), ("nginx", "-v")):
        if shutil.which(program):
            versions[program] = first_version([program, option])
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        cores=cores(),
        memory_gb=_memory_gb(),
        python=platform.python_version(),
        versions=versions,
    )


def _cpu() -> str:
    return _line(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    found = _line(Path("/proc/meminfo"), "MemTotal")
    return round(int(found.split()[0]) / 1024**2, 1) if found else None


def _line(path: Path, name: str) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")

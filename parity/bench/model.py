"""Holds what is published of one run of `parity bench`: the form of bench.json."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from parity.support.frozen import Frozen

FORMAT: Literal[1] = 1
State = Literal["MEASURED", "INCOMPLETE", "NOT_APPLICABLE"]
LoadKind = Literal["closed", "open"]
Over = Literal["connections", "request_bytes", "chunks"]
Shape = Literal["straight", "flat", "neither"]

UNITS = {
    "requests_per_s": "1/s",
    "p50_ms": "ms",
    "p90_ms": "ms",
    "p99_ms": "ms",
    "cpu_ms": "ms",
    "cpu_main_ms": "ms",
    "first_ms": "ms",
    "chunks_per_s": "1/s",
    "gap_p50_ms": "ms",
    "gap_p99_ms": "ms",
    "memory_mb": "MB",
}
"""The figures of a cell, by name."""

MEANINGS = {
    "requests_per_s": "answers that were whole, by second",
    "p50_ms": "half of the answers took no longer, to their last byte",
    "p90_ms": "nine in ten took no longer",
    "p99_ms": "99 in 100 took no longer",
    "cpu_ms": "CPU time of a request, of all processes of the subject",
    "cpu_main_ms": "CPU time of a request, of the subject's first process alone",
    "first_ms": "time to the first event of a stream, the median",
    "chunks_per_s": "events of streams, by second",
    "gap_p50_ms": "time between two events of a stream, the median",
    "gap_p99_ms": "99 in 100 events came no later after the one before",
    "memory_mb": "resident memory of all processes of the subject, under load, at the end of the round",
}


class Machine(Frozen):
    """Holds where it was measured."""

    system: str
    cpu: str
    cores: int = Field(description="those that this run may use")
    memory_gb: float | None
    python: str
    versions: dict[str, str] = Field(description="of packages and programs that matter")


class Settings(Frozen):
    """Holds how it was measured."""

    rounds: int
    seconds: float = Field(description="of load in a round, by cell")
    warm_up: float = Field(description="seconds of load before each of them that don't count")
    connections: list[int]
    headroom: float = Field(description="how many times as fast as a subject the upstream alone has to be")
    seed: int = Field(description="of the order of subjects within a round")
    loop: str = Field(description="the event loop of the upstream and of the load")


class MeasuredSubject(Frozen):
    """Holds a subject, and its figures that belong to no workload."""

    name: str
    title: str
    version: str
    state: State
    reason: str = Field("", description="why it isn't measured, where it isn't")
    cold_start_s: float | None = Field(None, description="from its start to the first answer")
    install_mb: float | None = Field(None, description="of its packages with all that they need")
    rest_mb: float | None = Field(
        None, description="resident memory of all its processes before the first load"
    )
    peak_mb: float | None = Field(None, description="the most that they had, added up")


class MeasuredWorkload(Frozen):
    """Holds a workload as it was sent."""

    name: str
    title: str
    path: str
    request_bytes: int
    chunks: int = Field(description="events of an answer; 0: no stream")


class Figure(Frozen):
    """Holds one figure of a cell: a sample a round."""

    median: float
    low: float
    high: float
    spread: float = Field(description="the distance of the quartiles as a share of the median")
    samples: list[float] = Field(description="one a round, in the order of the rounds")


class Cell(Frozen):
    """Holds one subject under one workload with so many connections. Without MEASURED it has no figure."""

    subject: str
    workload: str
    load: LoadKind
    connections: int
    rate: float | None = Field(None, description="open loop: requests that are due in a second")
    state: State
    reason: str = ""
    requests: int = Field(0, description="that were measured, in all rounds")
    lower_bound: bool = Field(
        False, description="the upstream or the load was the bottleneck: the subject may be faster"
    )
    figures: dict[str, Figure] = Field(default_factory=dict)


class Ratio(Frozen):
    """Holds a figure of one subject, divided by that of another one in the same run."""

    subject: str
    against: str
    workload: str
    load: LoadKind
    connections: int
    figure: str
    ratio: float
    low: float | None = Field(description="of the 95 % interval; null with fewer than three rounds")
    high: float | None


class Stability(Frozen):
    """Holds how much a figure varies from round to round, and whether a gate could hold it."""

    figure: str
    spread: float = Field(description="the largest of nine in ten cells")
    gate: bool
    why: str


class Fit(Frozen):
    """Holds a straight line through a figure: over connections, bytes of a prompt, or chunks of a stream."""

    subject: str
    over: Over
    figure: str
    at_zero: float
    slope: float
    r2: float = Field(description="the share of the differences that the line explains")
    points: list[tuple[float, float]]
    deviation: float | None = Field(
        None, description="of the point farthest from the line, as a share of what was measured there"
    )
    exponent: float | None = Field(
        None,
        description="of the step between the two largest; 1: it grows as fast as what it is over, 2: as its square",
    )
    rise: float | None = Field(
        None, description="the most by which a point lies above one before it, as a share of that one"
    )
    shape: Shape | None = Field(
        None, description="what the points say; null for a figure that nothing is expected of"
    )


class MissingFit(Frozen):
    """Holds why there is no line that was asked for."""

    subject: str
    over: Over
    figure: str
    reason: str


class Endured(Frozen):
    """Holds what many requests, one batch after the other, left in a subject's memory."""

    subject: str
    workload: str
    connections: int
    state: State
    reason: str = ""
    warm_up: int = Field(description="requests before the first look at the memory")
    requests: int = Field(description="that were answered rightly after it")
    points: list[tuple[int, float]] = Field(description="requests so far, and resident memory in MB")
    start_mb: float | None = None
    end_mb: float | None = None
    bytes_per_request: float | None = Field(
        None, description="slope of a straight line through the points, by least squares"
    )
    growth_mb: float | None = Field(
        None, description="from the first point to the last, or by the line, whichever is more"
    )
    allowed_mb: float | None = Field(None, description="the growth up to which the memory counts as flat")
    flat: bool | None = Field(None, description="null where it wasn't measured")


class Bench(Frozen):
    """Holds a run of `parity bench`."""

    parity_bench: Literal[1] = FORMAT
    made: str = Field(description="when, ISO 8601, UTC")
    command: str
    machine: Machine
    settings: Settings
    units: dict[str, str] = Field(default_factory=lambda: dict(UNITS))
    meanings: dict[str, str] = Field(default_factory=lambda: dict(MEANINGS))
    subjects: list[MeasuredSubject]
    workloads: list[MeasuredWorkload]
    cells: list[Cell]
    ratios: list[Ratio]
    stability: list[Stability]
    fits: list[Fit]
    missing_fits: list[MissingFit] = Field(
        default_factory=list, description="lines that were asked for with --fits and aren't there"
    )
    endurance: list[Endured] = Field(default_factory=list, description="of --endurance, one a subject")
    problems: list[str] = Field(default_factory=list, description="what a reader has to know of this run")

    @property
    def with_fits(self) -> bool:
        """Return whether lines were asked for: one through memory is laid, or missing, in such a run alone."""
        return bool(self.missing_fits) or any(fit.figure == "memory_mb" for fit in self.fits)

    @property
    def exit_code(self) -> int:
        """Return 1 where something that was asked for has no number."""
        states = [*(cell.state for cell in self.cells), *(subject.state for subject in self.subjects)]
        states += [one.state for one in self.endurance]
        return int("INCOMPLETE" in states or bool(self.missing_fits))


def bench_schema() -> dict[str, Any]:
    """Return the JSON schema of bench.json."""
    schema = Bench.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Parity bench"}

"""Lines through planted costs: what is straight, what bends, what rises, and what isn't there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parity.bench.fits import LINES, WORKLOADS, fits, missing
from parity.bench.model import Cell, Fit, Over
from parity.bench.results import figure
from parity.bench.workloads import find

ALL = [find(name) for name in WORKLOADS]


def measured(cost: Callable[[float], float], subject: str = "sdk") -> list[Cell]:
    """Return all cells of `--fits`: `cost` is told bytes, chunks or connections."""
    found = []
    for workload in ALL:
        for connections in (1, 16, 64, 256) if workload.name == "chat" else (1,):
            x = workload.chunks or (
                connections if workload.name == "chat" else len(workload.request("")) / 1000
            )
            figures = {"cpu_ms": figure([cost(x)]), "memory_mb": figure([100 + connections])}
            found.append(
                Cell(
                    subject=subject,
                    workload=workload.name,
                    load="closed",
                    connections=connections,
                    state="MEASURED",
                    figures=figures,
                )
            )
    return found


def by_line(cells: list[Cell]) -> dict[tuple[Over, str], Fit]:
    return {(one.over, one.figure): one for one in fits(cells, ALL)}


def test_a_cost_in_a_line_is_straight() -> None:
    """Base and slope are found again, for the body's size and for chunks."""
    found = by_line(measured(lambda x: 2 + 0.01 * x))
    assert found.keys() == set(LINES)
    chunks, size = found["chunks", "cpu_ms"], found["request_bytes", "cpu_ms"]
    assert (chunks.shape, chunks.at_zero, chunks.slope, chunks.r2) == ("straight", 2, 0.01, 1)
    assert [x for x, _ in chunks.points] == [50, 200, 1000, 3000]
    assert (size.shape, size.at_zero, len(size.points)) == ("straight", pytest.approx(2, abs=0.02), 5)
    assert found["connections", "memory_mb"].slope == 1
    assert found["connections", "memory_mb"].shape is None


def test_a_cost_in_a_square_is_not() -> None:
    """Its last step has the exponent 2, however well a line runs through the points."""
    found = by_line(measured(lambda x: x * x))["chunks", "cpu_ms"]
    assert (found.shape, found.exponent) == ("neither", 2)
    bent = by_line(measured(lambda x: 1 + x**1.2))["chunks", "cpu_ms"]
    assert bent.r2 > 0.98
    assert bent.shape == "neither"


def test_a_cost_that_leaps_is_not() -> None:
    """Points that lie on no line have a low R², also where the last step is a small one."""
    found = by_line(measured(lambda x: 1 if x < 200 else 40))["chunks", "cpu_ms"]
    assert found.exponent == 0
    assert found.shape == "neither"


def test_over_connections_no_step_may_rise() -> None:
    """Falling costs are flat; one that falls and then rises isn't, though it ends where it began."""
    assert by_line(measured(lambda x: 3 + 1 / x))["connections", "cpu_ms"].shape == "flat"
    found = by_line(measured(lambda x: {1: 4.0, 16: 2.0, 64: 3.0}.get(x, 4.0)))["connections", "cpu_ms"]
    assert (found.shape, found.rise) == ("neither", 1)


def test_a_line_that_is_not_there_is_told() -> None:
    """For a point that went wrong, for figures that nobody knows, for points that nobody asked for."""
    cells = measured(lambda x: x)
    wrong = {"state": "INCOMPLETE", "reason": "answered 500", "figures": {}}
    broken = [cell.model_copy(update=wrong if cell.workload == "stream-3000" else {}) for cell in cells]
    assert ("chunks", "cpu_ms") not in by_line(broken)
    [one] = missing(broken, ALL, ["sdk"])
    assert (one.over, one.reason) == (
        "chunks",
        "its point at stream-3000, connections 1, is INCOMPLETE: answered 500",
    )
    unknown = [cell.model_copy(update={"figures": {}}) for cell in cells]
    assert {one.reason for one in missing(unknown, ALL, ["sdk"])} == {
        "what its processes use isn't known here"
    }
    assert fits(unknown, ALL) == []
    few = [cell for cell in cells if not cell.workload.startswith("stream-") or cell.workload == "stream-50"]
    assert [one.reason for one in missing(few, ALL, ["sdk"])] == [
        "a line needs at least 3 points, and 1 were asked for"
    ]
    assert len(missing(cells, ALL, ["sdk", "other"])) == len(LINES)
    assert missing(cells, ALL, ["sdk"]) == []

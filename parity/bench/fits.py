"""Lays straight lines through figures: whether a cost grows with what it is over, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parity.bench.model import Cell, Fit, MissingFit, Over, Shape
from parity.bench.statistics import deviation, exponent, line, rise
from parity.bench.workloads import Workload

CONNECTED = "chat"
"""The workload of the lines over connections."""
WORKLOADS = (
    CONNECTED,
    *(f"prompt-{kilobytes}" for kilobytes in (10, 100, 400, 800)),
    *(f"stream-{chunks}" for chunks in (50, 200, 1000, 3000)),
)
"""The workloads that `--fits` measures."""
LINES: tuple[tuple[Over, str], ...] = (
    ("request_bytes", "cpu_ms"),
    ("chunks", "cpu_ms"),
    ("connections", "cpu_ms"),
    ("connections", "memory_mb"),
)
FEWEST = 3
"""The fewest points of a line: two always lie on one."""
STRAIGHT = 0.98
"""The R² from which points count as a line."""
STEEPEST = 1.1
"""The exponent of the last step up to which a cost grows no faster than what it is over."""
FLAT = 0.15
"""The rise, as a share, up to which a cost counts as the same with any number of connections."""
CRITERION = (
    f"straight: R² is at least {STRAIGHT} and the exponent of the step between the two largest at most {STEEPEST}. "
    f"Over connections, flat: none of them costs over {FLAT:.0%} more than any fewer"
)


def fits(cells: Sequence[Cell], workloads: Sequence[Workload]) -> list[Fit]:
    """Fit a line through each figure that has points enough, and lacks none that were tried."""
    found = []
    for subject in dict.fromkeys(cell.subject for cell in cells):
        for over, figure in LINES:
            tried = list(_tried(cells, workloads, subject, over))
            if not _why_not(tried, figure):
                points = sorted((x, cell.figures[figure].median) for x, cell in tried)
                found.append(_fit(subject, over, figure, points))
    return found


def missing(
    cells: Sequence[Cell], workloads: Sequence[Workload], subjects: Sequence[str]
) -> list[MissingFit]:
    """Say of each line that isn't there why it isn't."""
    return [
        MissingFit(subject=subject, over=over, figure=figure, reason=why)
        for subject in subjects
        for over, figure in LINES
        if (why := _why_not(list(_tried(cells, workloads, subject, over)), figure))
    ]


def _tried(
    cells: Sequence[Cell], workloads: Sequence[Workload], subject: str, over: Over
) -> Iterator[tuple[float, Cell]]:
    """Yield a subject's cells of one line, each with its place on it: sizes with the fewest connections alone."""
    known = {workload.name: workload for workload in workloads}
    closed = [cell for cell in cells if cell.load == "closed"]
    for cell in closed:
        workload = known.get(cell.workload)
        if cell.subject != subject or workload is None:
            continue
        fewest = cell.connections == min(c.connections for c in closed if c.workload == cell.workload)
        if over == "connections" and cell.workload == CONNECTED:
            yield cell.connections, cell
        elif over == "request_bytes" and fewest and cell.workload.partition("-")[0] in (CONNECTED, "prompt"):
            yield len(workload.request("")), cell
        elif over == "chunks" and fewest and cell.workload.startswith("stream-"):
            yield workload.chunks, cell


def _why_not(tried: Sequence[tuple[float, Cell]], figure: str) -> str:
    """Return why there is no line; empty where there is. The point that is missing may be the one off the line."""
    if len({x for x, _ in tried}) < FEWEST:
        return f"a line needs at least {FEWEST} points, and {len(tried)} were asked for"
    for _, cell in tried:
        if cell.state != "MEASURED":
            return f"its point at {cell.workload}, connections {cell.connections}, is {cell.state}: {cell.reason}"
    if any(figure not in cell.figures for _, cell in tried):
        return "what its processes use isn't known here"
    return ""


def _fit(subject: str, over: Over, figure: str, points: list[tuple[float, float]]) -> Fit:
    start, slope, r2 = line(points)
    last = exponent(points)
    risen = rise(points)
    return Fit(
        subject=subject,
        over=over,
        figure=figure,
        at_zero=float(f"{start:.4g}"),
        slope=float(f"{slope:.4g}"),
        r2=round(r2, 4),
        points=points,
        deviation=round(deviation(points, start, slope), 4),
        exponent=None if last is None else round(last, 3),
        rise=round(risen, 4),
        shape=_shape(over, r2, last, risen) if figure == "cpu_ms" else None,
    )


def _shape(over: Over, r2: float, last: float | None, risen: float) -> Shape | None:
    if over == "connections":
        return "flat" if risen <= FLAT else "neither"
    if last is None:
        return None
    return "straight" if r2 >= STRAIGHT and last <= STEEPEST else "neither"

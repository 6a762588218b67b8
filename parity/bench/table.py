"""Writes a bench as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from parity.bench import endurance, fits
from parity.bench.model import Bench, Cell, Fit

COLUMNS = {
    "requests_per_s": "req/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "first_ms": "first ms",
    "chunks_per_s": "chunks/s",
    "gap_p50_ms": "gap ms",
    "cpu_ms": "CPU ms",
    "memory_mb": "memory MB",
}
OVER = {
    ("request_bytes", "cpu_ms"): ("CPU over the body's size", "ms", 1e5, "ms per 100 kB"),
    ("chunks", "cpu_ms"): ("CPU over chunks", "ms", 1e3, "ms per 1,000 chunks"),
    ("connections", "cpu_ms"): ("CPU over connections", "ms", 1e3, "µs per connection"),
    ("connections", "memory_mb"): ("memory over connections", "MB", 1024, "kB per connection"),
}
"""The name of a line, the unit of its base, and what its slope is multiplied with to be in a plain unit."""
FIT_HEADING = ["subject", "a request's", "base", "slope", "R²", "farthest point", "exponent", "points", ""]
ENDURANCE_HEADING = ["subject", "requests", "MB after the warm-up", "MB at the end", "bytes a request", ""]


def number(value: float) -> str:
    """Write a figure with three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Put rows into columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def text(bench: Bench) -> str:
    """Render all tables."""
    parts = []
    places = dict.fromkeys((c.workload, c.load, c.connections, c.rate) for c in bench.cells)
    titles = {workload.name: workload.title for workload in bench.workloads}
    for workload, load, connections, rate in places:
        cells = [
            c
            for c in bench.cells
            if (c.workload, c.load, c.connections, c.rate) == (workload, load, connections, rate)
        ]
        how = f"{connections} connections" if load == "closed" else f"open loop, {rate:g} requests/s due"
        parts.append("\n".join([f"{workload} ({titles[workload]}), {how}", *_lines(cells)]))
    parts.append("\n".join(_subjects(bench)))
    for heading, rows, notes in (
        ("straight lines", fit_rows(bench), fit_notes(bench)),
        ("endurance", endurance_rows(bench), endurance_notes(bench)),
    ):
        if rows or notes:
            parts.append("\n".join([heading, *aligned(rows or [[""]]), *notes]))
    parts += [f"note: {problem}" for problem in bench.problems]
    return "\n\n".join(parts)


def fit_rows(bench: Bench) -> list[list[str]]:
    """Lay out the lines, under their heading; nothing where there are none."""
    return [FIT_HEADING, *map(_fit, bench.fits)] if bench.fits else []


def _fit(one: Fit) -> list[str]:
    over, base, factor, unit = OVER[one.over, one.figure]
    said = {"flat": f"flat, rises by {one.rise or 0:.0%}", "neither": "NEITHER", None: ""}
    if one.over != "connections":
        said["neither"] = "NOT STRAIGHT"
    elif one.rise is not None:
        said["neither"] = f"RISES by {one.rise:.0%}"
    return [
        one.subject,
        over,
        f"{number(one.at_zero)} {base}",
        f"{number(one.slope * factor)} {unit}",
        f"{one.r2:.3f}",
        "–" if one.deviation is None else f"{one.deviation:.1%}",
        "–" if one.exponent is None else f"{one.exponent:.2f}",
        str(len(one.points)),
        said.get(one.shape, one.shape or ""),
    ]


def fit_notes(bench: Bench) -> list[str]:
    """Say what counts as straight, and which lines are missing."""
    if not (bench.fits or bench.missing_fits):
        return []
    told = [
        f"MISSING: {one.subject}, {OVER[one.over, one.figure][0]}: {' '.join(one.reason.split())}"
        for one in bench.missing_fits
    ]
    return [f"{fits.CRITERION}.", *told]


def endurance_rows(bench: Bench) -> list[list[str]]:
    """Lay out what became of memory over many requests; nothing where that wasn't measured."""
    rows = [
        [
            one.subject,
            f"{one.requests:,}",
            number(one.start_mb),
            number(one.end_mb),
            number(one.bytes_per_request),
            "flat" if one.flat else f"GROWS by {number(one.growth_mb or 0)} MB",
        ]
        for one in bench.endurance
        if one.start_mb is not None and one.end_mb is not None and one.bytes_per_request is not None
    ]
    return [ENDURANCE_HEADING, *rows] if rows else []


def endurance_notes(bench: Bench) -> list[str]:
    """Say what counts as flat, and whose memory isn't known."""
    if not bench.endurance:
        return []
    told = [
        f"INCOMPLETE: {one.subject}: {' '.join(one.reason.split())}"
        for one in bench.endurance
        if one.state != "MEASURED"
    ]
    first = bench.endurance[0]
    asked = (
        f"{first.workload}, {first.connections} connections, after {first.warm_up:,} requests as a warm-up"
    )
    return [f"{asked}. {endurance.CRITERION[:1].upper()}{endurance.CRITERION[1:]}.", *told]


def _lines(cells: Sequence[Cell]) -> list[str]:
    shown = [name for name in COLUMNS if any(name in cell.figures for cell in cells)]
    rows = [["  subject", *(COLUMNS[name] for name in shown), "±"]]
    for cell in cells:
        if not cell.figures:
            continue
        values = [number(cell.figures[name].median) if name in cell.figures else "–" for name in shown]
        if cell.lower_bound:
            values[0] = f"≥{values[0]}"
        rows.append([f"  {cell.subject}", *values, f"{cell.figures['requests_per_s'].spread:.0%}"])
    lines = aligned(rows) if len(rows) > 1 else []
    return lines + [f"  {c.subject}: INCOMPLETE, {c.reason}" for c in cells if c.state == "INCOMPLETE"]


def _subjects(bench: Bench) -> list[str]:
    rows = [["subject", "version", "start s", "install MB", "at rest MB", "at most MB"]]
    for one in bench.subjects:
        figures = (one.cold_start_s, one.install_mb, one.rest_mb, one.peak_mb)
        rows.append([one.name, one.version, *("–" if value is None else number(value) for value in figures)])
    return aligned(rows)

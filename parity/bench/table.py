"""Writes a bench as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from parity.bench.model import Bench, Cell

COLUMNS = {
    "requests_per_s": "req/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "first_ms": "first ms",
    "chunks_per_s": "chunks/s",
    "gap_p50_ms": "gap ms",
    "cpu_ms": "CPU ms",
}


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
    parts += [f"note: {problem}" for problem in bench.problems]
    return "\n\n".join(parts)


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

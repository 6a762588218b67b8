"""Draws a bench as SVG that stands alone or within a page: bars with their figures, readable without seeing them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from parity.bench.model import Bench, Cell
from parity.bench.subjects import OURS
from parity.bench.table import number

WIDTH = 760
LEFT = 190
RIGHT = 90
BAR = 16
ROW = 22
HEAD = 46
GAP = 26


def svg(bench: Bench) -> str:
    """Render requests by second with most connections of each workload, one group of bars a workload."""
    groups = [group for workload in bench.workloads if (group := _group(bench, workload.name))]
    height = HEAD + sum(GAP + len(group) * ROW + 10 for group in groups)
    title = "Requests by second, by subject and workload"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="bench-title bench-desc" font-family="system-ui, sans-serif" font-size="12" '
        'fill="currentColor">',
        f'<title id="bench-title">{escape(title)}</title>',
        f'<desc id="bench-desc">{escape(_told(groups))}</desc>',
        f'<text x="0" y="18" font-size="15" font-weight="600">{escape(title)}</text>',
        '<text x="0" y="36" opacity="0.75">Median of the rounds; the thin line spans all rounds. '
        "Each workload has a scale of its own.</text>",
    ]
    y = HEAD
    for group in groups:
        parts += _bars(bench, group, y)
        y += GAP + len(group) * ROW + 10
    return "\n".join([*parts, "</svg>"]) + "\n"


def _group(bench: Bench, workload: str) -> list[Cell]:
    """Return a workload's cells with 16 connections, or with most, the fastest first."""
    cells = [c for c in bench.cells if c.workload == workload and c.load == "closed" and c.figures]
    if not cells:
        return []
    several = {cell.connections for cell in cells}
    chosen = 16 if 16 in several else max(several)
    cells = [cell for cell in cells if cell.connections == chosen]
    return sorted(cells, key=lambda cell: -cell.figures["requests_per_s"].median)


def _bars(bench: Bench, group: Sequence[Cell], top: int) -> list[str]:
    title = next(w.title for w in bench.workloads if w.name == group[0].workload)
    many = group[0].connections
    heading = f"{group[0].workload}: {title}, {many} connection{'s' if many > 1 else ''}"
    most = max(cell.figures["requests_per_s"].high for cell in group)
    scale = (WIDTH - LEFT - RIGHT) / most if most else 0
    parts = [f'<text x="0" y="{top + 16}" font-weight="600">{escape(heading)}</text>']
    for place, cell in enumerate(group):
        figure = cell.figures["requests_per_s"]
        y = top + GAP + place * ROW
        length = max(1.0, figure.median * scale)
        low, high = LEFT + figure.low * scale, LEFT + figure.high * scale
        shade = 0.9 if cell.subject in OURS else 0.4
        bound = "≥ " if cell.lower_bound else ""
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(cell.subject)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill-opacity="{shade}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + BAR + 2}" y2="{y + BAR + 2}" stroke="currentColor"/>',
            f'<text x="{high + 6:.1f}" y="{y + 12}">{bound}{number(figure.median)}</text>',
        ]
    return parts


def _told(groups: Sequence[Sequence[Cell]]) -> str:
    """Say the figures in words, for who doesn't see the bars."""
    sentences = []
    for group in groups:
        figures = ", ".join(
            f"{cell.subject} {number(cell.figures['requests_per_s'].median)}" for cell in group
        )
        sentences.append(f"{group[0].workload} with {group[0].connections} connections: {figures}.")
    return " ".join(sentences)

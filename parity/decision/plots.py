"""Draws lines as inline SVG: no script, no network, a title and a description for who can't see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from parity.decision.bench import CHAT, cells
from parity.decision.model import ARMS
from parity.measuring.model import Benched, Measured, Soak

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 70, 14, 40
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0}


def all_of(parts: Mapping[str, Measured]) -> list[Markup]:
    """Return the plots of what was measured."""
    found: list[Markup] = []
    bench = parts.get("bench")
    if bench and isinstance(bench.data, Benched):
        found += _of_bench(bench.data.bench)
    soak = parts.get("soak")
    if soak and isinstance(soak.data, Soak):
        memory = {arm: one.memory for arm, one in soak.data.arms.items()}
        found.append(plot("Memory over time", "seconds under load", "MB, all processes", memory))
    return [one for one in found if one]


def _of_bench(bench: dict[str, Any]) -> Iterable[Markup]:
    latency = {
        arm: [
            (percent, value)
            for figure, percent in PERCENTILES.items()
            for _, value in sorted(cells(bench, arm, CHAT, figure))[:1]
        ]
        for arm in ARMS
    }
    yield plot("Latency of a small chat", "percentile", "ms", latency)
    load = {arm: sorted(cells(bench, arm, CHAT, "requests_per_s")) for arm in ARMS}
    yield plot("Throughput over connections", "connections", "requests/s", load)


def plot(title: str, across: str, up: str, series: Mapping[str, Points]) -> Markup:
    """Draw one line a name, from 0 up; empty when there is no point. Names stand at the ends of their lines."""
    drawn = {name: points for name, points in series.items() if points}
    if not drawn:
        return Markup("")
    every = [point for points in drawn.values() for point in points]
    most_x, most_y = max(x for x, _ in every) or 1, max(y for _, y in every) or 1
    key = "plot-" + "".join(letter for letter in title.lower() if letter.isalpha())

    def place(x: float, y: float) -> str:
        across_px = LEFT + (WIDTH - LEFT - RIGHT) * x / most_x
        up_px = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / most_y
        return f"{across_px:.1f},{up_px:.1f}"

    said = "; ".join(
        f"{name}: {up} {points[0][1]:.4g} at {points[0][0]:g}, {points[-1][1]:.4g} at {points[-1][0]:g} {across}, "
        f"{max(y for _, y in points):.4g} at the most"
        for name, points in drawn.items()
    )
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [
        Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            WIDTH, HEIGHT, key, key
        ),
        Markup('<title id="{}-t">{}</title><desc id="{}-d">{}.</desc>').format(key, title, key, said),
        Markup('<path class="axis" d="M{},{}V{}H{}"/>').format(LEFT, TOP, bottom, right),
        _text(LEFT - 6, TOP + 4, f"{most_y:.4g}", "end"),
        _text(LEFT - 6, bottom, "0", "end"),
        _text(right, bottom + 16, f"{most_x:.4g}", "end"),
        _text(LEFT, bottom + 16, "0", "start"),
        _text((LEFT + right) / 2, bottom + 32, f"{across} → {up}", "middle"),
    ]
    ends: list[float] = []
    for number, (name, points) in enumerate(drawn.items()):
        path = " ".join(place(x, y) for x, y in points)
        parts.append(Markup('<polyline class="line line{}" points="{}"/>').format(number, path))
        end_x, end_y = map(float, place(*points[-1]).split(","))
        while any(abs(end_y - other) < 14 for other in ends):  # two names never lie on each other
            end_y += 7
        ends.append(end_y)
        parts.append(_text(end_x + 6, end_y + 4, name, "start", f"name name{number}"))
    return Markup("").join([*parts, Markup("</svg>")])


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> Markup:
    return Markup('<text x="{:.0f}" y="{:.0f}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, kind, text
    )

"""Reads figures of one architecture from a bench.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parity.decision.model import ARMS

Figure = tuple[float, str]
"""A value, and where it stands in the bench."""
CHAT = "chat"
DIRECT = "direct"
"""The subject that is no proxy: the upstream itself."""


def cells(bench: dict[str, Any], subject: str, workload: str, figure: str) -> Iterator[tuple[int, float]]:
    """Yield connections and the median of a figure, of the cells of closed loops that were measured."""
    for cell in bench.get("cells", ()):
        wanted = (subject, workload, "closed", "MEASURED")
        if (cell["subject"], cell["workload"], cell["load"], cell["state"]) == wanted and (
            found := cell["figures"].get(figure)
        ):
            yield cell["connections"], float(found["median"])


def few(bench: dict[str, Any], subject: str, figure: str) -> Figure | None:
    """Return a figure of a small chat over the fewest connections."""
    found = sorted(cells(bench, subject, CHAT, figure))
    return (found[0][1], f"over {found[0][0]} connection(s), by the bench") if found else None


def overhead(bench: dict[str, Any], subject: str) -> Figure | None:
    """Return what the subject adds to the time of a small chat; the whole time where nobody was asked directly."""
    whole, direct = few(bench, subject, "p50_ms"), few(bench, DIRECT, "p50_ms")
    every = [found[0] for arm in ARMS if (found := few(bench, arm, "p50_ms"))]
    if whole is None or direct is None or direct[0] >= min(every):
        return whole
    return round(whole[0] - direct[0], 4), f"added to asking the provider directly, {whole[1]}"


def at_best(bench: dict[str, Any], subject: str) -> Figure | None:
    """Return the most small chats in a second, over whatever connections."""
    found = [value for _, value in cells(bench, subject, CHAT, "requests_per_s")]
    return (max(found), "over as many connections as suit it best, by the bench") if found else None


def first_event(bench: dict[str, Any], subject: str) -> Figure | None:
    """Return the time to the first event of a stream, of the first workload that is one."""
    for workload in bench.get("workloads", ()):
        if workload["chunks"] and (found := sorted(cells(bench, subject, workload["name"], "first_ms"))):
            return found[0][1], f"{workload['title']}, by the bench"
    return None


def peak(bench: dict[str, Any], subject: str) -> Figure | None:
    """Return the most memory of all its processes."""
    for one in bench.get("subjects", ()):
        if one["name"] == subject and one.get("peak_mb") is not None:
            return float(one["peak_mb"]), "by the bench"
    return None

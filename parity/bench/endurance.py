"""Sends many requests to one subject, and looks whether its memory grows with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from parity.bench.load import Seen
from parity.bench.model import Endured
from parity.bench.statistics import line

WORKLOAD = "chat"
CONNECTIONS = 16
BATCHES = 20
"""How often the memory is looked at after the warm-up, beside once before."""
WARM_UP = 10
"""The part of the requests, one in so many, that go before: caches and pools fill in them."""
SHARE = 0.02
LEAST_MB = 5.0
CRITERION = (
    f"flat: it grew by at most {SHARE:.0%} of what it was after the warm-up, or {LEAST_MB:g} MB, whichever is more; "
    "the growth is that from the first look to the last, or that of the line, whichever is more"
)
STEPS = BATCHES + 1


@dataclass
class Endurance:
    """Holds what was seen of one subject."""

    subject: str
    reason: str = ""
    warm_up: int = 0
    points: list[tuple[int, float]] = field(default_factory=list)


def batches(requests: int) -> list[int]:
    """Return the sizes of the batches: as good as equal, and together all requests."""
    edges = [requests * place // BATCHES for place in range(BATCHES + 1)]
    return [after - before for before, after in pairwise(edges)]


def endure(
    subject: str,
    requests: int,
    ask: Callable[[int], Seen],
    memory: Callable[[], float | None],
    advance: Callable[[str], None] = lambda _: None,
) -> Endurance:
    """Send the warm-up and then batch after batch, and look at the memory after each; end where anything goes wrong."""
    found = Endurance(subject, warm_up=max(1, requests // WARM_UP))
    done = 0
    for number, size in enumerate([found.warm_up, *batches(requests)]):
        if not found.reason:
            seen, held = ask(size), memory()
            if seen.wrong:
                of = seen.answered or seen.wrong
                found.reason = f"{seen.wrong} of {of} requests went wrong, the first: {seen.reason}"
            elif seen.answered < size:
                found.reason = (
                    f"{seen.answered} of {size} requests of a batch were answered in {seen.seconds:g} s"
                )
            elif held is None:
                found.reason = "the memory of its processes isn't known here"
            else:
                done += size if number else 0
                found.points.append((done, held))
        advance(f"{subject}, endurance")
    return found


def published(seen: Endurance) -> Endured:
    """Sum up the looks at the memory; where anything went wrong there is no figure."""
    common = {
        "subject": seen.subject,
        "workload": WORKLOAD,
        "connections": CONNECTIONS,
        "warm_up": seen.warm_up,
    }
    if seen.reason:
        return Endured.model_validate(
            {**common, "state": "INCOMPLETE", "reason": seen.reason, "requests": 0, "points": []}
        )
    (_, start), (requests, end) = seen.points[0], seen.points[-1]
    _, slope, _ = line(seen.points)
    growth, allowed = max(end - start, slope * requests), max(SHARE * start, LEAST_MB)
    return Endured.model_validate(
        {
            **common,
            "state": "MEASURED",
            "requests": requests,
            "points": [(done, round(held, 2)) for done, held in seen.points],
            "start_mb": round(start, 2),
            "end_mb": round(end, 2),
            "bytes_per_request": float(f"{slope * 1024**2:.3g}"),
            "growth_mb": round(growth, 2),
            "allowed_mb": round(allowed, 2),
            "flat": growth <= allowed,
        }
    )

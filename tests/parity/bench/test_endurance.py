"""Memory over many requests: planted looks at it, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parity.bench.endurance import BATCHES, STEPS, Endurance, batches, endure, published
from parity.bench.load import Seen


def endured(
    memory: Callable[[int], float | None], answer: Callable[[int], Seen] = lambda n: Seen(answered=n)
) -> Endurance:
    """Endure 20,000 requests; `memory` is told how many were sent."""
    sent = 0

    def ask(requests: int) -> Seen:
        nonlocal sent
        sent += requests
        return answer(requests)

    return endure("sdk", 20_000, ask, lambda: memory(sent))


@pytest.mark.parametrize("requests", [1000, 99_999, 100_000])
def test_batches_are_all_requests(requests: int) -> None:
    """As many as looks, none empty, and as good as equal."""
    sizes = batches(requests)
    assert (len(sizes), sum(sizes)) == (BATCHES, requests)
    assert max(sizes) - min(sizes) <= 1


def test_memory_that_stays_is_flat() -> None:
    """What the warm-up takes doesn't count; a line through the points says what a request leaves."""
    found = published(endured(lambda sent: 100 if sent >= 2000 else 10))
    assert (found.state, found.flat, found.bytes_per_request) == ("MEASURED", True, 0)
    assert (found.warm_up, found.requests, len(found.points)) == (2000, 20_000, BATCHES + 1)
    assert (found.start_mb, found.end_mb) == (100, 100)


def test_memory_that_grows_is_not() -> None:
    """A kilobyte a request is seen as one; so is a leap that comes last, which a line hardly shows."""
    found = published(endured(lambda sent: 100 + sent / 1024))
    assert (found.flat, found.bytes_per_request) == (False, 1020)
    assert found.growth_mb == pytest.approx(19.53, abs=0.01)
    late = published(endured(lambda sent: 100 if sent < 22_000 else 106))
    assert (late.flat, late.growth_mb) == (False, 6)


def test_how_much_may_grow_depends_on_how_much_there_is() -> None:
    """5 MB of a small process, 2 % of a large one."""
    assert published(endured(lambda sent: 100 + 4.9 * (sent >= 22_000))).allowed_mb == 5
    assert published(endured(lambda sent: 1000 + 19 * (sent >= 22_000))).flat is True
    assert published(endured(lambda sent: 1000 + 21 * (sent >= 22_000))).flat is False


@pytest.mark.parametrize(
    ("memory", "answer", "told"),
    [
        (None, lambda n: Seen(answered=n), "the memory of its processes isn't known here"),
        (
            100.0,
            lambda n: Seen(answered=n, wrong=2, reason="answered 500"),
            "2 of 2000 requests went wrong, the first: answered 500",
        ),
        (
            100.0,
            lambda n: Seen(answered=n - 1, seconds=60),
            "1999 of 2000 requests of a batch were answered in 60 s",
        ),
    ],
)
def test_what_went_wrong_has_no_figure(
    memory: float | None, answer: Callable[[int], Seen], told: str
) -> None:
    """INCOMPLETE with its reason: neither flat nor growing."""
    found = published(endured(lambda _: memory, answer))
    assert (found.state, found.reason) == ("INCOMPLETE", told)
    assert (found.flat, found.start_mb, found.points) == (None, None, [])


def test_progress_counts_every_batch() -> None:
    """Also those that aren't sent any more, so that the time left is right."""
    told: list[str] = []
    endure("sdk", 1000, lambda _: Seen(wrong=1, reason="no"), lambda: 1.0, told.append)
    assert len(told) == STEPS

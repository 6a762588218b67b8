"""Says in a word what came of an observation, and counts the words: `101 × 2xx, 9 × 4xx, 3 broke`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from parity.observation.model import Exchange, Observation

BROKE = "broke"
HUNG_UP = "hung up"


def outcome(observation: Observation) -> str:
    """Return the class of the last answer, such as `2xx`; `broke` where no whole answer came; or `hung up`."""
    if not observation.exchanges or any(map(_broke, observation.exchanges)):
        return BROKE
    last = observation.exchanges[-1]
    return HUNG_UP if last.response is None else f"{last.response.status // 100}xx"


def tally(observations: Iterable[Observation]) -> str:
    """Count the outcomes: classes of statuses in their order, then what hung up and what broke."""
    counts = Counter(map(outcome, observations))
    said = [f"{counts[word]} × {word}" for word in sorted(counts) if word not in (BROKE, HUNG_UP)]
    said += [f"{counts[word]} {word}" for word in (HUNG_UP, BROKE) if counts[word]]
    return f"{counts.total()} observed" + (f": {', '.join(said)}" if said else "")


def _broke(exchange: Exchange) -> bool:
    if exchange.response is None:
        return not exchange.hung_up
    stream = exchange.response.stream
    return stream is not None and stream.broken is not None

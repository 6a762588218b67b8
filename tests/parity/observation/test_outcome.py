from __future__ import annotations

from typing import Any

import pytest

from parity.observation.model import Exchange
from parity.observation.outcome import outcome, tally
from tests.parity.builders import observation, stream


@pytest.mark.parametrize(
    ("rest", "word"),
    [
        ({"status": 204}, "2xx"),
        ({"status": 429}, "4xx"),
        ({"stream": stream("a")}, "2xx"),
        ({"stream": stream("a", broken="reset")}, "broke"),
        ({"exchanges": []}, "broke"),
        ({"exchanges": [Exchange(method="GET", path="/", failed="reset")]}, "broke"),
        ({"exchanges": [Exchange(method="GET", path="/", hung_up=True)]}, "hung up"),
    ],
)
def test_an_outcome_is_the_last_answers(rest: dict[str, Any], word: str) -> None:
    """The class of its status, unless something broke or the client hung up."""
    assert outcome(observation(**rest)) == word


def test_outcomes_are_counted_in_order() -> None:
    """Statuses first, and no outcome that didn't come."""
    gone = Exchange(method="GET", path="/", hung_up=True)
    seen = [
        observation(exchanges=[]),
        observation(status=404),
        observation(),
        observation(),
        observation(exchanges=[gone]),
    ]
    assert tally(seen) == "5 observed: 2 × 2xx, 1 × 4xx, 1 hung up, 1 broke"
    assert tally([]) == "0 observed"

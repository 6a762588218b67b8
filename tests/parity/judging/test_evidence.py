from __future__ import annotations

from parity.judging.evidence import answered, too_little
from parity.observation.model import Exchange
from tests.parity.builders import observation, scenario

GONE = [Exchange(method="POST", path="/", hung_up=True)]


def test_a_refusal_that_is_expected_is_an_answer() -> None:
    """So is any success; another status is a failure, and so is a connection that broke."""
    refused = scenario(status=429)
    assert answered(observation(status=429), refused)
    assert answered(observation(status=200), refused)
    assert not answered(observation(status=401), refused)
    assert not answered(observation(exchanges=[]), refused)


def test_a_client_that_hangs_up_has_its_answer_where_it_should() -> None:
    """A scenario that is about hanging up gets what it asks for."""
    assert answered(observation(exchanges=GONE), scenario(hung_up=True))
    assert not answered(observation(exchanges=GONE), scenario(status=200))


def test_more_than_half_must_have_been_answered() -> None:
    """Half is enough; the sentence counts what came."""
    known = {s.id: s for s in (scenario(f"a.{n}", status=200) for n in range(4))}
    seen = [observation(f"a.{n}", status=200 if n < 2 else 401) for n in range(4)]
    assert too_little("one", seen, known) is None
    sentence = too_little("one", [*seen[1:], seen[2]], known)
    assert sentence is not None
    assert "(4 observed: 1 × 2xx, 3 × 4xx)" in sentence

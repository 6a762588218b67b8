"""Decides whether observations of an endpoint are evidence: a side that mostly failed shows nothing.

Two endpoints that refuse everything are identical, and so are two that nobody reached. That is no equality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from parity.catalogue.scenario import Scenario
from parity.observation.model import Observation
from parity.observation.outcome import BROKE, HUNG_UP, outcome, tally


def answered(observation: Observation, scenario: Scenario) -> bool:
    """Return whether the last answer was a success, or the status that the scenario expects."""
    word = outcome(observation)
    if word in (BROKE, HUNG_UP):
        return word == HUNG_UP and scenario.expect.responses[-1].hung_up
    last = observation.exchanges[-1].response
    assert last is not None
    return word == "2xx" or last.status == scenario.expect.responses[-1].status


def too_little(
    target: str, observations: Sequence[Observation], scenarios: Mapping[str, Scenario]
) -> str | None:
    """Return a sentence where more than half of a target's observations failed; None where enough came."""
    failed = [o for o in observations if not answered(o, scenarios[o.scenario])]
    if len(failed) * 2 <= len(observations):
        return None
    return (
        f"{target}: most of it failed, so it shows nothing ({tally(observations)}); "
        "observe it again where it answers"
    )

"""The judging finds what it should: a relay without a bug is flawless, and each planted bug is named by its clause."""

from __future__ import annotations

from functools import cache

import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.gateways.applicable import why_not
from parity.gateways.judging import GatewayVerdict, judge_gateway
from parity.gateways.profile import find
from parity.targets.official import PLAYERS, Player
from tests.parity.gateways.planted import BUGS, Make
from tests.parity.gateways.relay import Relay, in_thread

pytestmark = pytest.mark.unmeasured

MOST = 12
FILES = (
    "chat/gzip chat/logprobs chat/plain chat/response_format chat/system_and_history "
    "chat/tool_call chat/two_choices chat/unicode chat/unknown_parameter embeddings/base64 "
    "embeddings/inputs errors/connection_reset errors/openai_status errors/retry_after "
    "messages/hang_up messages/plain messages/status messages/stream messages/system "
    "messages/thinking models/list requests/wrong_type responses/parameters responses/plain "
    "responses/stream streaming/cut streaming/error_frame streaming/hang_up streaming/plain "
    "streaming/reset streaming/two_choices streaming/usage "
)


@cache
def chosen() -> tuple[Scenario, ...]:
    scenarios = Catalogue.load(loading.BUILT_IN / f"{name}.yaml" for name in FILES.split())
    return tuple(scenario for scenario in scenarios if why_not(scenario, find("passthrough")) is None)


def judged(make: Make, clause: str = "") -> GatewayVerdict:
    """By the scenarios that are about a clause, else by all that are chosen."""
    profile = find("passthrough").model_copy(update={"name": "relay"})
    about = [scenario for scenario in chosen() if clause in scenario.clauses][:MOST]
    return judge_gateway(profile, about or chosen(), run=in_thread(make), at_once=8)


def test_a_relay_without_a_bug_is_flawless() -> None:
    """Nothing is broken, and more than forty scenarios say so; three runs are the same, byte for byte."""
    runs = [judged(Relay) for _ in range(3)]
    assert {name: clause.broken for name, clause in runs[0].clauses.items() if clause.broken} == {}
    assert runs[0].ok
    assert runs[0].applicable > 40
    assert len({run.model_dump_json() for run in runs}) == 1


@pytest.mark.parametrize("player", PLAYERS)
def test_a_relay_is_flawless_for_an_official_client(player: Player) -> None:
    """What the client can't ask isn't judged, and is counted; its retries are nobody's bug."""
    profile = find("passthrough").model_copy(update={"name": "relay"})
    verdict = judge_gateway(profile, chosen(), run=in_thread(Relay), at_once=8, player=player)
    assert {name: clause.broken for name, clause in verdict.clauses.items() if clause.broken} == {}
    assert verdict.applicable > 10
    assert verdict.applicable + sum(verdict.not_applicable.values()) == len(chosen())
    assert verdict.not_applicable[f"asks another route, which the client {player} can't"] > 0
    assert f", asked by {player} " in verdict.line
    assert verdict.command == f"parity judge relay --client {player}"


def test_a_bug_shows_to_an_official_client() -> None:
    """Frames that are held back are so for it, too."""
    profile = find("passthrough").model_copy(update={"name": "relay"})
    clause, make = BUGS["BuffersStreams"]
    about = [scenario for scenario in chosen() if clause in scenario.clauses][:MOST]
    verdict = judge_gateway(profile, about, run=in_thread(make), at_once=8, player="openai")
    assert verdict.clauses[clause].broken


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_named_by_its_clause(name: str) -> None:
    """The clause is among those that are broken, with the scenario that shows it."""
    clause, make = BUGS[name]
    verdict = judged(make, clause)
    broken = {found: kept.broken for found, kept in verdict.clauses.items() if kept.broken}
    assert clause in broken, sorted(broken)
    assert not verdict.ok
    assert verdict.line.startswith("FAIL relay")


def test_there_are_enough_bugs() -> None:
    """Of the kinds that real gateways have, for most of the clauses."""
    assert len(BUGS) >= 30
    assert len({clause for clause, _ in BUGS.values()}) >= 25

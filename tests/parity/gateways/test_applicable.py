from __future__ import annotations

from typing import Any

import pytest

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.gateways.applicable import SAYS_NOTHING, prepared, why_not
from parity.gateways.profile import Profile, find, names

PROFILE = find("passthrough")
LACKS = {"chat.odd": "no odd ones"}
CLAIMED = {"key": "own", "one_provider": False, "translates": ["/v1/chat/completions"], "lacks": LACKS}
OWN = PROFILE.model_copy(update=CLAIMED)
CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}


def scenario(id: str = "chat.one", clauses: tuple[str, ...] = ("chat.plain",), **rest: Any) -> Scenario:
    client = {"json": {"model": "$model"}, **rest.pop("client", {})}
    document = {
        "id": id,
        "title": "t",
        "clauses": list(clauses),
        "provider": [{"json": CHAT}],
        "client": [client],
    }
    return Scenario.model_validate({**document, "expect": {"responses": [{}]}, **rest})


NEEDS = {
    "is played on recordings alone": scenario(tiers=["mocked"]),
    "needs a memory store": scenario(provider=[], memory=[{"json": {}}]),
    "needs settings of a deployment, such as retries or a time limit": scenario(
        deployment={"params": {"timeout": 1}}
    ),
    "is about a second deployment, or a second call": scenario(deployment={"group": 2}),
    "needs a provider that looks at headers": scenario(provider=[{"json": {}, "when": {"cookie": "a"}}]),
    "is about redirects, which the published APIs don't have": scenario(provider=[{"status": 307}]),
    "is about limits, which every gateway sets for itself": scenario(client={"header_count": 3}),
    "asks a route that isn't among the published ones": scenario(client={"path": "/health", "method": "GET"}),
    "needs a gateway with keys of its own": scenario(client={"auth": "none"}),
    "needs a provider of its own that can't be reached": scenario(deployment={"refused": True}),
    "needs a gateway that translates between two APIs": scenario(deployment={"provider": "anthropic"}),
    SAYS_NOTHING: scenario("requests.steering", ("requests.steering",), provider=[]),
}


@pytest.mark.parametrize("reason", NEEDS)
def test_what_a_gateway_needs_not_have_isnt_applicable(reason: str) -> None:
    """With the reason in words."""
    assert why_not(NEEDS[reason], PROFILE) == reason


@pytest.mark.parametrize(("length", "applies"), [(4096, True), (4097, False)])
def test_a_providers_header_may_be_longer_than_proxies_take(length: int, applies: bool) -> None:
    """What nginx and others refuse unless they are set up for it is no gateway's fault."""
    long = scenario(provider=[{"json": CHAT, "headers": {"x-long": "x" * length}}])
    assert (why_not(long, PROFILE) is None) == applies


def test_what_a_gateway_claims_is_applicable() -> None:
    """One with keys, a provider a scenario and translation is judged by these, too; not by what it says it lacks."""
    assert why_not(scenario(), PROFILE) is None
    for reason in ("keys of its own", "can't be reached", "translates"):
        (case,) = (case for why, case in NEEDS.items() if reason in why)
        assert why_not(case, OWN) is None
    assert why_not(scenario("chat.odd_one"), OWN) == "no odd ones"
    assert why_not(scenario(client={"auth": "api-key"}), OWN) == SAYS_NOTHING
    narrow = PROFILE.model_copy(update={"routes": ["/v1/models"]})
    assert why_not(scenario(), narrow) == "asks /v1/chat/completions, which this gateway doesn't claim"
    hangs = scenario(provider=[{"fault": "hang"}])
    assert why_not(hangs, OWN) == "needs settings of a deployment, such as retries or a time limit"


def test_the_provider_refuses_what_the_published_api_refuses() -> None:
    """In the envelope of its route; a list of models is a list, and memories are left out."""
    invalid = prepared(scenario("requests.x", ("requests.types",), provider=[]))
    assert (invalid.provider[0].status, "error" in invalid.provider[0].json_) == (400, True)
    theirs = prepared(
        scenario("messages.x", ("requests.types",), provider=[], client={"path": "/v1/messages"})
    )
    assert theirs.provider[0].json_["type"] == "error"
    models = prepared(scenario("models.x", provider=[], client={"path": "/v1/models", "method": "GET"}))
    assert models.provider[0].json_["object"] == "list"
    with_memory = scenario(deployment={"memory": {}}, memory=[{"json": {}}])
    assert prepared(with_memory).deployment.memory is None
    assert prepared(with_memory).memory == []


@pytest.mark.parametrize("name", [n for n in names() if len(find(n).routes) > 3])
def test_there_is_enough_to_judge_by(name: str) -> None:
    """More than four hundred scenarios of the catalogue may apply to each gateway that claims four routes."""
    profile: Profile = find(name)
    assert sum(why_not(each, profile) is None for each in Catalogue.load()) > 400

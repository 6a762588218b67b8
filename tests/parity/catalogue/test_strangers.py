from __future__ import annotations

from typing import Any

import pytest

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.catalogue.strangers import for_strangers, tokens_of


def scenario(id: str = "chat.one", clauses: tuple[str, ...] = (), **rest: Any) -> Scenario:
    asked = {"json": {"model": "$model", "messages": [{"role": "user", "content": "Hello?"}]}}
    return Scenario.model_validate(
        {
            "id": id,
            "title": "t",
            "clauses": list(clauses),
            "provider": [{"json": {}}],
            "client": [{**asked, **rest.pop("client", {})}],
            "expect": {"responses": [{}]},
            **rest,
        }
    )


@pytest.mark.parametrize(
    "strange",
    [
        scenario("auth.one"),
        scenario(deployment={"params": {"num_retries": 2}}),
        scenario(deployment={"provider": "anthropic"}),
        scenario("requests.steering"),
        scenario(provider=[{"fault": "reset"}]),
        scenario(provider=[{"status": 500}]),
        scenario(client={"path": "/v1/messages"}),
        scenario(client={"auth": "wrong"}),
        scenario(client={"hang_up_after": 2}),
    ],
)
def test_what_needs_more_than_an_endpoint_is_left_out(strange: Scenario) -> None:
    """Keys, retries, other wires, faults, hang-ups, and refusals that only this project makes."""
    assert for_strangers([strange]) == []


def test_each_question_is_asked_once() -> None:
    """Scenarios that differ in their provider alone are one for whoever has another provider."""
    one, other = scenario("chat.one"), scenario("chat.two", provider=[{"json": {"a": 1}}])
    refused = scenario("requests.one", ("requests.types",), client={"json": {"model": "$model", "n": "1"}})
    assert [s.id for s in for_strangers([one, other, refused])] == ["chat.one", "requests.one"]


def test_there_are_some_in_the_catalogue() -> None:
    """Chats, streams, the list of models and refusals; what they cost is estimated."""
    chosen = for_strangers(Catalogue.load().for_tier("live"))
    assert {s.id.partition(".")[0] for s in chosen} == {"chat", "models", "requests", "streaming"}
    assert 30 < len(chosen) < 120
    assert 1000 < tokens_of(chosen) < 20000

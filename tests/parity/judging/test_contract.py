from __future__ import annotations

from typing import Any

import pytest

from parity.catalogue.scenario import Scenario
from parity.judging.contract import contract
from parity.judging.jsondiff import ABSENT
from parity.observation.model import Exchange, Observation, UpstreamCall
from tests.parity.builders import BODY, HEADER, STREAM, call, observation, scenario, stream

U = "call_5f0c1f6e-3d0b-4c56-9b0e-8a1d2f3c4b5a"
V = "call_c9a1b2d3-0e4f-4a5b-8c6d-7e8f9a0b1c2d"
RESPONSE = "$.exchanges[0].response"


def broken(seen: Observation, expected: Scenario) -> list[tuple[str, Any, Any]]:
    return [(v.path, v.expected, v.actual) for v in contract(seen, expected)]


@pytest.mark.parametrize(
    ("expected", "seen"),
    [
        ({}, {"status": 500, "text": "not asserted"}),
        ({"json": {"a": 1}}, {"json": {"a": 1.0}}),
        ({"json": {"a": "<any>", "b": "<id>", "c": "<time>"}}, {"json": {"a": None, "b": U, "c": 1}}),
        (
            {"json": [{"id": "<id:1>"}, {"id": "<id:2>"}, {"id": "<id:1>"}]},
            {"json": [{"id": i} for i in (U, V, U)]},
        ),
        ({"json": {"a": 1, "b": "<absent>"}}, {"json": {"a": 1}}),
        ({"json": None}, {}),
        ({"contains": {"a": {"b": 1}}}, {"json": {"a": {"b": 1, "c": 2}, "d": 3}}),
        ({"lines": ["a", "b{"]}, {"text": 'a 1\nb{c="d"} 2\n'}),
        ({"contains": {"a": [{"b": 1}]}}, {"json": {"a": [{"b": 1, "c": 2}]}}),
        ({"headers": {"Retry-After": "7", "set-cookie": None}}, {"headers": {"retry-after": "7"}}),
        ({"stream": {"text": ""}}, {"stream": stream()}),
        (
            {"stream": {"text": "ab", "texts": ["ab"], "done": True, "frames_at_least": 2}},
            {"stream": stream("a", "b")},
        ),
        (
            {"stream": {"usage": None, "error": {"type": "<any>"}}},
            {"stream": stream("a", error={"type": "x"})},
        ),
        ({"provider": {"calls": 1, "contains": {"n": 1}}}, {"upstream": [call(n=1, m=2)]}),
        ({"provider": {"each": [{"n": 1}, {}]}}, {"upstream": [call(n=1, m=2), call(n=3)]}),
        ({"memory": {"calls": 1, "contains": {"q": "a"}}}, {"memory": [call(q="a", containerTag="b")]}),
        ({"provider": {"calls": 0, "headers": {"x-a": "1"}}}, {}),
        ({}, {"cancelled": False}),
        ({"held_back": 2}, {"held_back": 1}),
    ],
)
def test_kept(expected: dict[str, Any], seen: dict[str, Any]) -> None:
    """What is not given is not asserted, and placeholders stand for what they say."""
    assert broken(observation(**seen), scenario(**expected)) == []


@pytest.mark.parametrize(
    ("expected", "seen", "violation"),
    [
        ({"memory": {"calls": 0}}, {"memory": [call(q="a")]}, ("$.memory[0]", "0 calls", "1 call")),
        ({"memory": {"contains": {"q": "a"}}}, {}, ("$.memory[0]", "a call", ABSENT)),
        (
            {"memory": {"headers": {"cookie": None}}},
            {"memory": [UpstreamCall(route="r", headers={"cookie": "a"})]},
            ("$.memory[0].headers.cookie", ABSENT, "a"),
        ),
        ({"provider": {"each": [{}, {}]}}, {"upstream": [call()]}, ("$.upstream[1]", "2 calls", "1 call")),
        (
            {"provider": {"each": [{"n": 1}, {"n": 1}]}},
            {"upstream": [call(n=1), call(n=2)]},
            ("$.upstream[1].body.n", 1, 2),
        ),
        ({"status": 429}, {"status": 500}, (f"{RESPONSE}.status", 429, 500)),
        ({"headers": {"retry-after": "7"}}, {}, (HEADER, "7", ABSENT)),
        ({"headers": {"retry-after": None}}, {"headers": {"retry-after": "7"}}, (HEADER, ABSENT, "7")),
        ({"json": {"a": None}}, {"json": {}}, (f"{BODY}.a", None, ABSENT)),
        ({"json": {}}, {"json": {"a": None}}, (f"{BODY}.a", ABSENT, None)),
        ({"json": {"a": "<absent>"}}, {"json": {"a": 1}}, (f"{BODY}.a", ABSENT, 1)),
        ({"contains": {"a": "<absent>"}}, {"json": {"a": 1, "b": 2}}, (f"{BODY}.a", ABSENT, 1)),
        ({"json": "<absent>"}, {"json": {"a": 1}}, (BODY, ABSENT, {"a": 1})),
        ({"json": {"a": "<any>"}}, {"json": {}}, (f"{BODY}.a", "<any>", ABSENT)),
        ({"json": {"a": "<id>"}}, {"json": {"a": "call_1"}}, (f"{BODY}.a", "<id>", "call_1")),
        ({"json": {"a": "<time>"}}, {"json": {"a": "now"}}, (f"{BODY}.a", "<time>", "now")),
        (
            {"json": {"created": 5, "object": "chat.completion"}},
            {"json": {"created": 6, "object": "chat.completion"}},
            (f"{BODY}.created", 5, 6),
        ),
        (
            {"json": [{"id": "<id:1>"}, {"id": "<id:1>"}]},
            {"json": [{"id": U}, {"id": V}]},
            (f"{BODY}[1].id", "<id:1>", V),
        ),
        (
            {"json": [{"id": "<id:1>"}, {"id": "<id:2>"}]},
            {"json": [{"id": U}, {"id": U}]},
            (f"{BODY}[1].id", "<id:2>", U),
        ),
        ({"json": {"a": 1}}, {"text": "<html>"}, (BODY, {"a": 1}, "text: <html>")),
        ({"json": {"a": 1}}, {}, (BODY, {"a": 1}, ABSENT)),
        ({"lines": ["b"]}, {"text": "a b\n"}, (f"{RESPONSE}.text", "b", ABSENT)),
        ({"json": None}, {"json": {"a": 1}}, (BODY, ABSENT, {"a": 1})),
        ({"contains": {"a": [1]}}, {"json": {"a": [1, 2]}}, (f"{BODY}.a[1]", ABSENT, 2)),
        ({"contains": {"a": {"b": 1}}}, {"json": {"a": {"c": 1}}}, (f"{BODY}.a.b", 1, ABSENT)),
        ({"stream": {}}, {"json": {"a": 1}}, (f"{RESPONSE}.stream", "an event stream", {"a": 1})),
        ({"stream": {"text": "b"}}, {"stream": stream("a")}, (f"{STREAM}.message.texts[0]", "b", "a")),
        ({"stream": {"done": True}}, {"stream": stream("a", done=False)}, (f"{STREAM}.done", True, False)),
        (
            {"stream": {"error": None}},
            {"stream": stream("a", error={})},
            (f"{STREAM}.message.error", None, {}),
        ),
        (
            {"stream": {"finish_reasons": ["stop", "stop"]}},
            {"stream": stream("a", finish_reasons=["stop", None])},
            (f"{STREAM}.message.finish_reasons[1]", "stop", None),
        ),
        (
            {"stream": {"frames_at_least": 3}},
            {"stream": stream("a", "b")},
            (f"{STREAM}.frames", "3 frames or more", "2 frames"),
        ),
        (
            {"status": 200},
            {"stream": stream("a", broken="ReadError")},
            (f"{STREAM}.broken", ABSENT, "ReadError"),
        ),
        ({"provider": {"calls": 1}}, {"upstream": [call(), call()]}, ("$.upstream[1]", "1 call", "2 calls")),
        ({"provider": {"calls": 1}}, {}, ("$.upstream[0]", "1 call", "0 calls")),
        ({"provider": {"contains": {"n": 1}}}, {}, ("$.upstream[0]", "a call", ABSENT)),
        (
            {"provider": {"contains": {"n": 1}}},
            {"upstream": [call(n=1), call(n=2)]},
            ("$.upstream[1].body.n", 1, 2),
        ),
        (
            {"provider": {"headers": {"authorization": None}}},
            {"upstream": [UpstreamCall(route="x", headers={"authorization": "***"})]},
            ("$.upstream[0].headers.authorization", ABSENT, "***"),
        ),
        ({"provider": {"cancelled": True}}, {"cancelled": None}, ("$.cancelled", True, None)),
        ({}, {"held_back": 1}, ("$.held_back", 0, 1)),
        ({}, {"faults": ["no such call"]}, ("$.faults[0]", ABSENT, "no such call")),
        ({}, {"exchanges": []}, ("$.exchanges[0]", "an exchange", ABSENT)),
    ],
)
def test_broken(expected: dict[str, Any], seen: dict[str, Any], violation: tuple[str, Any, Any]) -> None:
    """One broken expectation is one violation, at its path, with what was wanted and what was seen."""
    assert broken(observation(**seen), scenario(**expected)) == [violation]


def test_a_violation_names_the_clauses() -> None:
    """So a report can say which promise is broken."""
    [violation] = contract(observation(status=500), scenario(status=200))
    assert violation.clauses == ("some.clause",)


def test_a_failed_exchange_is_always_broken() -> None:
    """A client that gets no response has nothing to be content with, whatever was asserted."""
    failed = Exchange(method="POST", path="/", failed="ConnectError")
    assert broken(observation(exchanges=[failed]), scenario()) == [(RESPONSE, "a response", "ConnectError")]


def test_a_client_that_was_to_hang_up_is_asked_nothing_else() -> None:
    """After hanging up there is no response to check, but it has to have hung up."""
    gone = Exchange(method="POST", path="/", hung_up=True)
    assert broken(observation(exchanges=[gone]), scenario(hung_up=True)) == []
    assert broken(observation(), scenario(hung_up=True)) == [("$.exchanges[0].hung_up", True, False)]


def test_an_exchange_more_is_broken() -> None:
    """Nobody asked for it."""
    seen = observation()
    twice = seen.model_copy(update={"exchanges": seen.exchanges * 2})
    assert broken(twice, scenario()) == [("$.exchanges[1]", ABSENT, "an exchange")]


def test_another_scenarios_observation_is_refused() -> None:
    """Judging it would say nothing."""
    with pytest.raises(ValueError, match=r"chat\.other"):
        contract(observation("chat.other"), scenario())

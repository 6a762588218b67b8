"""The official clients as players: what they send, what they raise, and how often they ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from parity.catalogue.scenario import Scenario
from parity.observation.model import Exchange
from parity.provider.server import ServedProvider, serve_in_thread
from parity.targets.client import Credentials
from parity.targets.official import PLAYERS, Player, play_with, why_not_asked
from tests import samples

SLOW_DOWN = {
    "status": 429,
    "headers": {"retry-after-ms": "1"},
    "json": {
        "error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    },
}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def made(id: str, *replies: dict[str, Any], path: str = "/v1/chat/completions", **asked: Any) -> Scenario:
    body = {"model": "$model", "messages": [{"role": "user", "content": "?"}], **asked.pop("json", {})}
    return Scenario.model_validate(
        {
            "id": id,
            "title": "A promise.",
            "provider": list(replies),
            "client": [{"path": path, "json": {**body, "model": id}, **asked}],
            "expect": {"responses": [{}]},
        }
    )


ANSWER = (
    {"json": samples.COMPLETION} if hasattr(samples, "COMPLETION") else {"json": {"id": "x", "choices": []}}
)
SCENARIOS = {
    s.id: s
    for s in (
        made("a.answer", ANSWER),
        made("a.again", SLOW_DOWN, ANSWER),
        made("a.never", SLOW_DOWN),
        made("a.stream", {"sse": [{"data": CHUNK}, {"data": "[DONE]"}]}, json={"stream": True}),
        made("a.cut", {"sse": [{"data": CHUNK}, {"end": "cut"}]}, json={"stream": True}),
        made("a.reset", {"fault": "reset"}),
        made("a.message", {"json": MESSAGE}, path="/v1/messages", json={"max_tokens": 5}),
    )
}


@pytest.fixture(scope="module")
def provider() -> Iterator[ServedProvider]:
    with serve_in_thread(SCENARIOS.values()) as served:
        yield served


def asked(provider: ServedProvider, player: Player, id: str) -> Exchange:
    # The target of this player alone, so that replies start over for each.
    base = f"{provider.url}/{player}/{id}"
    (exchange,) = asyncio.run(play_with(player, base, SCENARIOS[id], Credentials("sk-x"), {}))
    return exchange


@pytest.mark.parametrize(
    ("player", "id"), [("openai", "a.answer"), ("groq", "a.answer"), ("anthropic", "a.message")]
)
def test_an_answer_is_what_came(provider: ServedProvider, player: Player, id: str) -> None:
    """Whatever the client makes of it, the observation holds the answer as it was sent."""
    exchange = asked(provider, player, id)
    assert exchange.response is not None
    assert (exchange.response.status, exchange.attempts, exchange.raised) == (200, 1, None)
    assert exchange.response.json_body["id"] == SCENARIOS[id].provider[0].json_["id"]


@pytest.mark.parametrize("player", ["openai", "groq"])
def test_the_clients_own_retries_are_counted(provider: ServedProvider, player: Player) -> None:
    """One that helps ends in the answer; where none helps, it ends in the client's exception."""
    again, never = (asked(provider, player, id) for id in ("a.again", "a.never"))
    assert (again.attempts, again.raised, again.response and again.response.status) == (2, None, 200)
    assert (never.attempts, never.raised, never.response and never.response.status) == (
        3,
        "RateLimitError",
        429,
    )


def test_a_stream_is_read_to_its_end(provider: ServedProvider) -> None:
    """Its frames are those that came, and one that is cut off is told as broken."""
    whole, cut = (asked(provider, "openai", id).response for id in ("a.stream", "a.cut"))
    assert whole is not None
    assert whole.stream is not None
    assert (whole.stream.message.texts, whole.stream.done) == (["Hi"], True)
    assert cut is not None
    assert cut.stream is not None
    assert "RemoteProtocolError" in str(cut.stream.broken)


def test_a_connection_that_breaks_is_tried_again(provider: ServedProvider) -> None:
    """And each attempt counts."""
    exchange = asked(provider, "openai", "a.reset")
    assert (exchange.attempts, exchange.raised, exchange.response) == (3, "APIConnectionError", None)
    assert exchange.failed is not None


def test_what_a_client_cannot_ask_is_known() -> None:
    """Another client's route, a body that is no JSON, no key, a client that hangs up: each with its reason."""
    answer = SCENARIOS["a.answer"]
    assert [why_not_asked(answer, player) for player in PLAYERS] == [
        None,
        "asks another route, which the client anthropic can't",
        None,
    ]
    request = answer.client[0]
    for change, why in (
        ({"json_": None, "body": "{"}, "sends a body that is no JSON object"),
        ({"json_": []}, "sends a body that is no JSON object"),
        ({"auth": "none"}, "sends no key, or in another header"),
        ({"hang_up_after": 1}, "hangs up"),
        ({"header_count": 1}, "pads its request"),
        ({"encoding": "gzip"}, "packs its request"),
        ({"method": "GET"}, "asks another route"),
    ):
        other = answer.model_copy(update={"client": [request.model_copy(update=change)]})
        assert why_not_asked(other, "openai") == f"{why}, which the client openai can't"
    assert why_not_asked(SCENARIOS["a.again"], "openai") == (
        "has a reply for each call, and the client openai calls again on its own"
    )


def test_a_client_waits_no_longer_than_it_may() -> None:
    """It asks again at once where it is told to wait for a minute, and hands out a stream item by item."""
    told = SLOW_DOWN | {"headers": {"retry-after": "60"}}
    scenarios = [made("b.later", told), SCENARIOS["a.stream"]]
    counted: list[int] = []

    async def on_item(count: int) -> None:
        counted.append(count)

    with serve_in_thread(scenarios) as served:
        for scenario in scenarios:
            base = f"{served.url}/openai/{scenario.id}"
            (exchange,) = asyncio.run(
                play_with("openai", base, scenario, Credentials("sk-x"), {}, on_item, longest_wait=0.01)
            )
            assert exchange.attempts == (3 if scenario.id == "b.later" else 1)
    assert counted == [1]

"""Refuses what Anthropic's API refuses: a thinking block that isn't the one that its signature was made for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.observation.fold import fold
from parity.observation.model import Frame

Pair = tuple[Any, Any]
"""Holds the text and the signature of a thinking block."""


def signed(scenario: Scenario) -> frozenset[str]:
    """Return the thinking blocks that are genuine in a scenario: its provider's, and its client's own."""
    found = [pair for reply in scenario.provider for pair in _given(reply)]
    for request in scenario.client:
        body = request.json_
        if body is None and request.body is not None:
            with suppress(ValueError):
                body = json.loads(request.body)
        found += [pair for _, pair in _blocks(body, "")]
    return frozenset(map(_key, found))


def altered(body: Any, genuine: frozenset[str]) -> ProviderReply | None:
    """Return the API's refusal of a request with a thinking block that isn't genuine; None where there is none."""
    messages = body.get("messages") if isinstance(body, dict) else None
    for place, pair in _blocks(messages, "messages"):
        if _key(pair) not in genuine:
            message = f"{place}: Invalid `signature` in `thinking` block"
            error = {"type": "invalid_request_error", "message": message}
            return ProviderReply(status=400, json={"type": "error", "error": error})
    return None


def _given(reply: ProviderReply) -> Iterator[Pair]:
    yield from (pair for _, pair in _blocks(reply.json_, ""))
    events = [event for event in reply.sse or () if event.data is not None]
    if any(event.event for event in events):
        message = fold([Frame(event=event.event or "message", data=event.data) for event in events])
        if message.signature:
            yield message.thinking, message.signature


def _blocks(value: Any, place: str) -> Iterator[tuple[str, Pair]]:
    """Yield every thinking block below a value, with its place as the API names it."""
    if isinstance(value, dict):
        if value.get("type") == "thinking" and "thinking" in value:
            yield place, (value["thinking"], value.get("signature"))
        for key, item in value.items():
            yield from _blocks(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _blocks(item, f"{place}.{index}")


def _key(pair: Pair) -> str:
    return json.dumps(pair, sort_keys=True)

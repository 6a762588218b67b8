"""Compares one observation with what its scenario expects: the verdict that needs no second target.

An expected value may be a placeholder:

    <any>      whatever is there          <id>       a made-up id (see `normalise`)
    <time>     a Unix time                <id:1>     the same id wherever this name stands, unlike <id:2>
    <absent>   nothing may be there

Ids and times are checked as observed, so a literal `created` is a promise that it is passed through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from parity.catalogue.scenario import (
    ExpectedMemory,
    ExpectedProvider,
    ExpectedResponse,
    ExpectedStream,
    Scenario,
)
from parity.judging.jsondiff import ABSENT, changes
from parity.judging.jsonpath import Parts, to_path
from parity.judging.normalise import is_generated_id, is_time
from parity.observation.model import Exchange, Observation, Response, Stream, UpstreamCall

_NAMED_ID = re.compile(r"<id:[0-9]+>")

Found = Iterator[tuple[Parts, Any, Any]]


class Violation(BaseModel):
    """Holds one path at which an observation breaks its scenario; `ABSENT`: nothing there, or nothing wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    expected: Any
    actual: Any
    clauses: tuple[str, ...] = ()


def contract(observation: Observation, scenario: Scenario) -> list[Violation]:
    """Return every broken expectation, in the order of the observation, which must not be normalised.

    Raises `ValueError` when the observation is of another scenario.
    """
    if observation.scenario != scenario.id:
        raise ValueError(f"an observation of {observation.scenario} can't be judged by {scenario.id}")
    check = _Check()
    return [
        Violation(path=to_path(parts), expected=expected, actual=actual, clauses=tuple(scenario.clauses))
        for parts, expected, actual in check.observation(observation, scenario)
    ]


class _Check:
    """Holds the checks of one observation; remembers which id each `<id:n>` stands for."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def observation(self, observation: Observation, scenario: Scenario) -> Found:
        expect = scenario.expect
        for index, expected in enumerate(expect.responses):
            at: Parts = ("exchanges", index)
            if index < len(observation.exchanges):
                yield from self._exchange(observation.exchanges[index], expected, at)
            else:
                yield at, "an exchange", ABSENT
        for index in range(len(expect.responses), len(observation.exchanges)):
            yield ("exchanges", index), ABSENT, "an exchange"
        yield from self._provider(observation, scenario)
        expected_memory = scenario.expect.memory
        yield from self._calls("memory", expected_memory, expected_memory.calls, observation.memory)
        if observation.held_back > expect.held_back:
            yield ("held_back",), expect.held_back, observation.held_back
        wanted = expect.provider.cancelled
        if wanted is not None and observation.cancelled is not wanted:
            yield ("cancelled",), wanted, observation.cancelled
        for index, fault in enumerate(observation.faults):
            yield ("faults", index), ABSENT, fault

    def _exchange(self, exchange: Exchange, expected: ExpectedResponse, at: Parts) -> Found:
        if exchange.hung_up != expected.hung_up:
            yield (*at, "hung_up"), expected.hung_up, exchange.hung_up
        if expected.hung_up:
            return
        if exchange.response is None:
            yield (*at, "response"), "a response", exchange.failed or ABSENT
        else:
            yield from self._response(exchange.response, expected, (*at, "response"))

    def _response(self, response: Response, expected: ExpectedResponse, at: Parts) -> Found:
        given = expected.model_fields_set
        if expected.status is not None and response.status != expected.status:
            yield (*at, "status"), expected.status, response.status
        yield from self._headers(expected.headers, response.headers, (*at, "headers"))
        body = response.json_body if response.json_body is not None else _other_body(response)
        if "json_" in given:
            wanted = ABSENT if expected.json_ is None else expected.json_
            yield from self._json(wanted, body, (*at, "json_body"))
        if expected.contains is not None:
            yield from self._json(expected.contains, body, (*at, "json_body"), subset=True)
        seen = (response.text or "").splitlines()
        for line in expected.lines:
            if not any(each.startswith(line) for each in seen):
                yield (*at, "text"), line, ABSENT
        if response.stream is not None:
            yield from self._stream(response.stream, expected.stream, (*at, "stream"))
        elif expected.stream is not None:
            yield (*at, "stream"), "an event stream", _other_body(response)

    def _stream(self, stream: Stream, expected: ExpectedStream | None, at: Parts) -> Found:
        if expected is not None:
            given = expected.model_fields_set
            message, inside = stream.message, (*at, "message")
            if expected.text is not None:
                text = message.texts[0] if message.texts else ""
                yield from self._json(expected.text, text, (*inside, "texts", 0))
            for name in (
                "texts",
                "finish_reasons",
                "tool_calls",
                "usage",
                "error",
                "thinking",
                "signature",
                "refusal",
            ):
                if name in given:
                    yield from self._json(getattr(expected, name), getattr(message, name), (*inside, name))
            if expected.done is not None and stream.done != expected.done:
                yield (*at, "done"), expected.done, stream.done
            if len(stream.frames) < (expected.frames_at_least or 0):
                yield (
                    (*at, "frames"),
                    f"{expected.frames_at_least} frames or more",
                    f"{len(stream.frames)} frames",
                )
        # Whatever the provider does, a proxy closes its own stream in order.
        if stream.broken is not None:
            yield (*at, "broken"), ABSENT, stream.broken

    def _provider(self, observation: Observation, scenario: Scenario) -> Found:
        expected = scenario.expect.provider
        wanted = expected.calls
        if wanted is not None and observation.tier == "mocked":
            # The mocked tier sees the call to LiteLLM, which is made whether or not a provider can be reached.
            wanted = max(wanted, int(scenario.deployment.refused))
            if expected.mocked_calls is not None:
                wanted = expected.mocked_calls
        yield from self._calls("upstream", expected, wanted, observation.upstream)

    def _calls(
        self,
        side: str,
        expected: ExpectedProvider | ExpectedMemory,
        wanted: int | None,
        calls: Sequence[UpstreamCall],
    ) -> Found:
        if expected.each is not None and wanted is None:
            wanted = len(expected.each)
        if wanted is not None and len(calls) != wanted:
            # At the first call that is missing or too many, which is where two targets would differ.
            yield (side, min(len(calls), wanted)), _calls(wanted), _calls(len(calls))
        elif not calls and wanted is None and (expected.headers or expected.contains is not None):
            yield (side, 0), "a call", ABSENT
        for index, call in enumerate(calls):
            yield from self._headers(expected.headers, call.headers, (side, index, "headers"))
            for body in (expected.contains, *(expected.each or [])[index : index + 1]):
                if body is not None:
                    yield from self._json(body, call.body, (side, index, "body"), subset=True)

    def _headers(self, expected: dict[str, str | None], actual: dict[str, str], at: Parts) -> Found:
        for name in sorted(expected):
            wanted, value = expected[name], actual.get(name.lower(), ABSENT)
            yield from self._json(ABSENT if wanted is None else wanted, value, (*at, name.lower()))

    def _json(self, expected: Any, actual: Any, at: Parts, *, subset: bool = False) -> Found:
        yield from changes(self._filled(expected, actual, subset), actual, at)

    def _filled(self, expected: Any, actual: Any, subset: bool) -> Any:
        """Return `expected`, filled with the actual value wherever a placeholder or an unasserted key allows
        it.
        """
        if isinstance(expected, str):
            if self._matches(expected, actual):
                return actual
            return ABSENT if expected == ABSENT.value else expected
        if isinstance(expected, dict) and isinstance(actual, dict):
            unwanted = {key for key, item in expected.items() if item == ABSENT.value}
            filled = {
                key: self._filled(item, actual.get(key, ABSENT), subset)
                for key, item in expected.items()
                if key not in unwanted
            }
            rest = {key: item for key, item in actual.items() if key not in unwanted} if subset else {}
            return {**rest, **filled}
        if isinstance(expected, list) and isinstance(actual, list):
            pairs = [self._filled(e, a, subset) for e, a in zip(expected, actual, strict=False)]
            return pairs + expected[len(actual) :]
        return expected

    def _matches(self, expected: str, actual: Any) -> bool:
        if expected == ABSENT.value:
            return actual is ABSENT
        if expected == "<any>":
            return actual is not ABSENT
        if expected == "<id>":
            return is_generated_id(actual)
        if expected == "<time>":
            return is_time(actual)
        if _NAMED_ID.fullmatch(expected) and is_generated_id(actual):
            known = self._ids.setdefault(expected, actual)
            return known == actual and list(self._ids.values()).count(actual) == 1
        return False


def _other_body(response: Response) -> Any:
    """Return the body that came instead of the expected kind of body."""
    if response.stream is not None:
        return "an event stream"
    if response.text is not None:
        return f"text: {response.text}"
    return ABSENT if response.json_body is None else response.json_body


def _calls(count: int) -> str:
    return f"{count} call" if count == 1 else f"{count} calls"

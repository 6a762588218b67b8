"""Reads LiteLLM's real answers from the recordings of the built-in scenarios; templates change copies of
them.

Each sample has two sides, `process` (JSON of the LiteLLM process) and `sdk` (data of LiteLLM's own objects).
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import lru_cache
from typing import Any, Literal

from parity.catalogue import loading
from parity.catalogue.scenario import Scenario
from parity.recording import file as recording
from parity.recording.file import ProcessAnswer, SdkAnswer

Side = Literal["process", "sdk"]
Route = Literal["chat/completions", "messages"]
ErrorKind = Literal["context_length", "content_policy", "insufficient_quota", "timeout", "unreachable"]

_KINDS: dict[Route, dict[ErrorKind, str]] = {
    "chat/completions": {
        "context_length": "errors.context_length",
        "content_policy": "errors.content_policy",
        "insufficient_quota": "errors.insufficient_quota",
        "timeout": "errors.timeout[openai]",
        "unreachable": "errors.connection_refused[openai]",
    },
    "messages": {
        "timeout": "messages.timeout[plain]",
        "unreachable": "messages.unreachable[anthropic]",
    },
}
_STATUSES: dict[Route, str] = {"chat/completions": "errors.openai_status", "messages": "messages.status"}

# LiteLLM maps Anthropic's 504 to 408 when its message mentions a timeout, as the recorded one does.
_OF_THEIR_SENTENCE: tuple[tuple[Route, int], ...] = (("messages", 504),)
_KNOWN_BY_SENTENCE = ("context_length", "timeout", "unreachable")


class NoSample(ValueError):
    """Reports that no such answer was recorded; the message lists those that were."""


@lru_cache
def _recorded(scenario_id: str) -> recording.Recording:
    theme, _, name = scenario_id.partition(".")
    return recording.read(recording.BUILT_IN / theme / f"{name}.json")


def process_answer(scenario_id: str) -> ProcessAnswer:
    answer = _recorded(scenario_id).process[0].answer
    assert answer is not None, scenario_id
    return answer


def sdk_answer(scenario_id: str) -> SdkAnswer:
    answer = _recorded(scenario_id).sdk[0].answer
    assert answer is not None, scenario_id
    return answer


def body(scenario_id: str, side: Side) -> dict[str, Any]:
    """Return a whole answer, as a copy."""
    if side == "process":
        value: dict[str, Any] = json.loads(process_answer(scenario_id).text or "null")
        return value
    return deepcopy(sdk_answer(scenario_id).value or {})


def chunks(scenario_id: str, side: Side) -> list[dict[str, Any]]:
    """Return the chunks or events of a stream without `[DONE]`, as copies."""
    if side == "sdk":
        answer = sdk_answer(scenario_id)
        if answer.chunks is not None:
            return deepcopy(answer.chunks)
        return [data for frame in answer.frames or () if (data := _data(frame))]
    return [data for frame in process_answer(scenario_id).frames or () if (data := _data(frame))]


def _data(frame: str) -> dict[str, Any] | None:
    text = "".join(line.removeprefix("data: ") for line in frame.split("\n") if line.startswith("data: "))
    data: dict[str, Any] | None = None if text == "[DONE]" else json.loads(text)
    return data


@lru_cache
def scenario(scenario_id: str) -> Scenario:
    theme, _, name = scenario_id.partition(".")
    file = loading.BUILT_IN / theme / f"{name.partition('[')[0]}.yaml"
    return next(s for s in loading.read_file(file) if s.id == scenario_id)


def error_id(route: Route, status: int | None, kind: ErrorKind | None) -> str:
    """Return the id of the scenario that shows such an error. Raises `NoSample`."""
    if kind is not None:
        if kind not in _KINDS[route]:
            known = ", ".join(sorted(_KINDS[route]))
            raise NoSample(f"no error of the kind {kind!r} was recorded on /v1/{route}; there are: {known}")
        return _KINDS[route][kind]
    if status not in statuses(route):
        known = ", ".join(map(str, statuses(route)))
        raise NoSample(f"no error with status {status} was recorded on /v1/{route}; there are: {known}")
    return f"{_STATUSES[route]}[{status}]"


@lru_cache
def statuses(route: Route) -> tuple[int, ...]:
    """Return the statuses of which errors were recorded."""
    theme, _, name = _STATUSES[route].partition(".")
    names = (file.name for file in (recording.BUILT_IN / theme).iterdir())
    found = (re.fullmatch(rf"{name}\[(\d+)\]\.json", file) for file in names)
    recorded = sorted(int(match[1]) for match in found if match)
    return tuple(status for status in recorded if (route, status) not in _OF_THEIR_SENTENCE)


def check_message(kind: ErrorKind | None, message: str | None) -> None:
    """Raise `ValueError` where the provider's sentence can't be replaced."""
    if message is not None and kind in _KNOWN_BY_SENTENCE:
        raise ValueError(
            f"LiteLLM knows an error of the kind {kind!r} by the provider's sentence, so there can't be another "
            "one: leave the message out."
        )


def sentence(scenario_id: str) -> str | None:
    """Return the provider's sentence in a scenario's error; None where there is none."""
    replies = scenario(scenario_id).provider
    error = replies[0].json_.get("error") if replies and isinstance(replies[0].json_, dict) else None
    return error.get("message") if isinstance(error, dict) else None


def reworded(value: Any, changes: dict[str, str]) -> Any:
    """Return a copy with texts replaced, also within JSON that stands in a text."""
    if isinstance(value, dict):
        return {key: reworded(item, changes) for key, item in value.items()}
    if isinstance(value, list):
        return [reworded(item, changes) for item in value]
    if isinstance(value, str):
        for old, new in changes.items():
            quoted, quoted_new = (json.dumps(text, ensure_ascii=False) for text in (old, new))
            value = value.replace(quoted, quoted_new).replace(old, new)
    return value

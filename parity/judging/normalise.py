"""Masks values that differ from run to run without meaning anything, by named rules that count their masks.

A rule works on the shape of a value as well as on its place. Only what was made up on the way is masked, so
an id that the provider sent (`chatcmpl-1`) stays, and a target that replaces it by one of its own is seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.judging.jsonpath import Parts, to_path
from parity.observation.model import Observation

Mask = Callable[[Parts, Any, Mapping[str, Any]], Any]
"""Takes path, value and the object around it; returns the value to put there, or the same one to keep it."""

_ID_KEYS = frozenset(
    {"id", "item_id", "tool_call_id", "tool_use_id", "request_id", "x-request-id", "request-id"}
)
_GENERATED_ID = re.compile(
    r"(?P<prefix>(?:[a-z][a-z0-9]*[-_])*)"
    r"(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}"
    r"|(?<=^resp_)[\w-]{80,}=*)",  # LiteLLM's, around the provider's own
    re.IGNORECASE,
)
_TIMED = {"chat.completion": "created", "chat.completion.chunk": "created", "response": "created_at"}


@dataclass(frozen=True)
class Rule:
    """Holds one reason to mask; `start` gives a fresh mask for one observation, with no memory of others."""

    name: str
    description: str
    start: Callable[[], Mask]


@dataclass(frozen=True)
class Normalised:
    """Holds a masked copy, and by rule the paths that were masked."""

    observation: Observation
    paths: Mapping[str, tuple[str, ...]]

    @property
    def masked(self) -> dict[str, int]:
        """Return how many values each rule masked; every rule is named, also with 0."""
        return {rule: len(paths) for rule, paths in self.paths.items()}


def is_generated_id(value: Any) -> bool:
    """Return whether `value` is a generated id: a UUID, dashed or as 32 hex digits, alone or behind prefixes
    like `call_`.

    Or LiteLLM's long id of a response, behind `resp_`.
    """
    return isinstance(value, str) and _GENERATED_ID.fullmatch(value) is not None


def is_time(value: Any) -> bool:
    """Return whether `value` can be a Unix time: a positive number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def normalise(observation: Observation) -> Normalised:
    """Return a copy with every rule applied; applying them twice changes nothing more."""
    masks = [(rule.name, rule.start()) for rule in RULES]
    paths: dict[str, list[str]] = {rule.name: [] for rule in RULES}

    def leaf(parts: Parts, value: Any, parent: Mapping[str, Any]) -> Any:
        for name, mask in masks:
            masked = mask(parts, value, parent)
            if masked is not value:
                paths[name].append(to_path(parts))
                return masked
        return value

    data = observation.model_dump()
    for root in ("exchanges", "upstream"):
        data[root] = _walk(data[root], (root,), data, leaf)
    return Normalised(Observation.model_validate(data), {name: tuple(found) for name, found in paths.items()})


def mask_json(value: Any) -> Any:
    """Apply the same rules to any JSON, such as a recording."""
    masks = [rule.start() for rule in RULES]

    def leaf(parts: Parts, value: Any, parent: Mapping[str, Any]) -> Any:
        for mask in masks:
            value = mask(parts, value, parent)
        return value

    return _walk(value, ("$",), {}, leaf)


def _walk(value: Any, parts: Parts, parent: Mapping[str, Any], leaf: Mask) -> Any:
    if isinstance(value, dict):
        # Visited by sorted key, so that two targets that write an object in different order name ids alike.
        done = {key: _walk(value[key], (*parts, key), value, leaf) for key in sorted(value)}
        return {key: done[key] for key in value}
    if isinstance(value, list):
        return [_walk(item, (*parts, index), parent, leaf) for index, item in enumerate(value)]
    return leaf(parts, value, parent)


def _generated_ids() -> Mask:
    names: dict[str, str] = {}
    used: Counter[str] = Counter()

    def mask(parts: Parts, value: Any, parent: Mapping[str, Any]) -> Any:
        if parts[-1] not in _ID_KEYS or not isinstance(value, str):
            return value
        found = _GENERATED_ID.fullmatch(value)
        if found is None:
            return value
        if value not in names:
            # Counted by prefix: one request id more on a side doesn't rename every tool call after it.
            used[found["prefix"]] += 1
            names[value] = f"{found['prefix']}<id:{used[found['prefix']]}>"
        return names[value]

    return mask


def _times() -> Mask:
    def mask(parts: Parts, value: Any, parent: Mapping[str, Any]) -> Any:
        timed = parts[-1] == _TIMED.get(str(parent.get("object")))
        return "<time>" if timed and is_time(value) else value

    return mask


def _samples() -> Mask:
    def mask(parts: Parts, value: Any, parent: Mapping[str, Any]) -> Any:
        if parts[-1] != "text" or not isinstance(value, str) or not _is_metrics(parent.get("headers")):
            return value
        return "".join(line for line in value.splitlines(keepends=True) if line.startswith("#"))

    return mask


def _is_metrics(headers: Any) -> bool:
    return isinstance(headers, Mapping) and headers.get("content-type", "").startswith("text/plain; version=")


RULES: tuple[Rule, ...] = (
    Rule(
        "generated-ids",
        "UUIDs and LiteLLM's ids of responses under id, item_id, tool_call_id, tool_use_id, request_id and in "
        "request id headers; the prefix stays, the same id gets the same name: chatcmpl-<id:1>",
        _generated_ids,
    ),
    Rule(
        "metric-samples",
        "the samples of Prometheus' text, which count what else the target did; families and types stay",
        _samples,
    ),
    Rule(
        "times", "`created` of chat completions and their chunks, `created_at` of responses: <time>", _times
    ),
)

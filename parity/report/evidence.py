"""Collects what a verdict rests on, scenario by scenario: the scenario's text, and what each target showed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from parity.catalogue.scenario import Scenario
from parity.judging.jsonpath import from_path
from parity.judging.normalise import normalise
from parity.observation.file import redacted
from parity.observation.model import Observation
from parity.support.frozen import Frozen
from proxies.support.redact import redact_json

LARGEST = 16_384  # characters of a body, or of one value, that are kept whole
HEAD, TAIL = 2_000, 1_000
MOST_FRAMES = 120


class Masked(Frozen):
    """Holds one value that a normaliser rule masked, as it was before."""

    rule: str
    path: str
    was: Any


class Side(Frozen):
    """Holds what one target showed, normalised; where it is the same as another's, only that one's name."""

    same_as: str | None = None
    observation: dict[str, Any] | None = None
    masked: tuple[Masked, ...] = ()


class Evidence(Frozen):
    """Holds one scenario as its file says it, and both sides of it."""

    scenario: dict[str, Any] = Field(description="as in its file: provider, client, expect")
    sides: dict[str, Side]


def collect(scenarios: Iterable[Scenario], observations: Iterable[Observation]) -> dict[str, Evidence]:
    """Collect the evidence of the scenarios that were observed, secrets masked and large bodies abridged."""
    seen: dict[str, dict[str, Observation]] = {}
    for observation in observations:
        seen.setdefault(observation.scenario, {}).setdefault(observation.target, observation)
    return {
        scenario.id: Evidence(scenario=_text(scenario), sides=_sides(seen[scenario.id]))
        for scenario in scenarios
        if scenario.id in seen
    }


def _text(scenario: Scenario) -> dict[str, Any]:
    dumped = scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for name in ("id", "title", "clauses"):  # the verdict has them
        dumped.pop(name, None)
    text: dict[str, Any] = abridged(redact_json(dumped))
    return text


def _sides(seen: Mapping[str, Observation]) -> dict[str, Side]:
    sides: dict[str, Side] = {}
    whole: dict[str, str] = {}
    for target, observation in seen.items():
        raw = redacted(observation)
        normal = normalise(raw)
        shown = _shown(normal.observation)
        text = json.dumps(shown, sort_keys=True)
        masked = _masked(raw, normal.paths)
        if text in whole:
            sides[target] = Side(same_as=whole[text], masked=masked)
        else:
            whole[text] = target
            sides[target] = Side(observation=abridged(shown), masked=masked)
    return sides


def _shown(observation: Observation) -> dict[str, Any]:
    return observation.model_dump(mode="json", exclude={"scenario", "target", "tier"}, exclude_defaults=True)


def _masked(raw: Observation, paths: Mapping[str, Sequence[str]]) -> tuple[Masked, ...]:
    data = raw.model_dump(mode="json")
    return tuple(
        Masked(rule=rule, path=path, was=abridged(_at(data, path)))
        for rule, found in paths.items()
        for path in found
    )


def _at(data: Any, path: str) -> Any:
    for part in from_path(path):
        data = data[part]
    return data


def abridged(value: Any) -> Any:
    """Return `value`, its long texts, large bodies and long streams as head, tail, length and hash."""
    if isinstance(value, str):
        return value if len(value) <= LARGEST else _cut(value)
    if isinstance(value, list):
        return [abridged(item) for item in value]
    if isinstance(value, dict):
        return {key: _body(item) if key in _BODIES else abridged(item) for key, item in value.items()}
    return value


_BODIES = ("json_body", "body", "json", "frames", "sse")


def _body(value: Any) -> Any:
    if not isinstance(value, list | dict):
        return abridged(value)
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= LARGEST:
        return value
    if isinstance(value, list) and len(value) > MOST_FRAMES:
        kept = [*value[: MOST_FRAMES - 20], *value[-20:]]
        said = f"{len(value) - len(kept)} of {len(value)} left out, sha256 {_hash(text)}"
        kept.insert(MOST_FRAMES - 20, {"event": "(left out)", "data": said})
        return abridged(kept)
    if isinstance(value, list):
        return [abridged(item) for item in value]
    return _cut(text)


def _cut(text: str) -> str:
    return f"{text[:HEAD]}\n… {len(text)} characters, sha256 {_hash(text)} …\n{text[-TAIL:]}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()

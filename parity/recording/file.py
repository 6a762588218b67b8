"""Reads and writes recordings: a real LiteLLM's answers to a scenario's calls, in both dialects.

A recording holds each call next to its answer, so that a double can refuse a call that nobody recorded:

    Recording ── process: [ProcessCall]   the call to, and the HTTP answer of, the LiteLLM process
              └─ sdk:     [SdkCall]       the call to, and what came out of, LiteLLM's function

A recording that ships has a file of its own, but for those without a call: of them nothing is known but that nobody was
asked, and one file lists them all, a line each.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path
from pydantic import Field, ValidationError

from parity.catalogue.loading import fingerprint
from parity.catalogue.scenario import Scenario
from parity.observation.model import UpstreamCall
from parity.support.files import write_text_atomic
from parity.support.frozen import Frozen

BUILT_IN = Path(__file__).parents[1] / "recordings"
WITHOUT_CALLS = "without_calls.jsonl"
"""The file in `BUILT_IN` that lists the recordings without a call: scenario, fingerprint and LiteLLM's
version.
"""
FORMAT: Literal[1] = 1


class ProcessAnswer(Frozen):
    """Holds the HTTP response of the LiteLLM process. A body is whole (`text`) or in stream `frames`."""

    status: int
    headers: dict[str, str] = Field(default_factory=dict)
    text: str | None = None
    frames: list[str] | None = Field(None, description="one server-sent event each, its blank line included")
    broken: str | None = Field(None, description="the transport error after the last frame")


class SdkException(Frozen):
    """Holds an exception as data: enough to build a fresh, equal one."""

    type: str = Field(description="module and class: litellm.exceptions.RateLimitError")
    args: list[Any]
    attributes: dict[str, Any] = Field(default_factory=dict)


class SdkAnswer(Frozen):
    """Holds the outcome of LiteLLM's function.

    It returned (`value`), yielded (`chunks` or `frames`, then perhaps `raises`), or raised.
    """

    value: dict[str, Any] | None = None
    chunks: list[dict[str, Any]] | None = None
    frames: list[str] | None = Field(
        None,
        description="server-sent events, its blank line included: what `acreate` yields instead of chunks",
    )
    raises: SdkException | None = None
    response_headers: dict[str, str] = Field(
        default_factory=dict, description="the provider's, as it sent them"
    )
    additional_headers: dict[str, str] = Field(
        default_factory=dict, description="the same, as LiteLLM renames them"
    )


class ProcessCall(Frozen):
    call: UpstreamCall
    answer: ProcessAnswer | None = Field(description="none: it never answered, the caller gave up")


class SdkCall(Frozen):
    call: UpstreamCall
    answer: SdkAnswer | None = Field(description="none: it never answered, the caller gave up")


class Recording(Frozen):
    recording: Literal[1] = FORMAT
    scenario: str
    fingerprint: str = Field(description="sha256 of the scenario it was made from")
    litellm: str = Field(description="the LiteLLM version that answered")
    process: list[ProcessCall] = Field(default_factory=list)
    sdk: list[SdkCall] = Field(default_factory=list)

    @property
    def without_calls(self) -> bool:
        """Return whether neither side called LiteLLM."""
        return not self.process and not self.sdk

    def dumps(self) -> str:
        """Return the file's text: readable in a review, with small diffs in git."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


class RecordingError(Exception):
    """Reports that a recording is missing, damaged, or of another version of its scenario."""


def cache_folder() -> Path:
    """Return the folder of recordings of scenarios outside the package; `PARITY_CACHE` overrides the place."""
    return Path(
        os.environ.get("PARITY_CACHE") or user_cache_path("proxy-parity", appauthor=False) / "recordings"
    )


def built_in_path(scenario_id: str) -> Path:
    """Name the file of a recording that ships, if it has a call."""
    theme, _, name = scenario_id.partition(".")
    return BUILT_IN / theme / f"{name}.json"


def built_in(scenario_id: str) -> Recording | None:
    """Read the recording that ships with a scenario, whatever the scenario was then. Raises `RecordingError`."""
    path = built_in_path(scenario_id)
    return read(path) if path.is_file() else _without_calls().get(scenario_id)


def shipped(scenario: Scenario) -> Recording | None:
    """Return the recording that ships with exactly this scenario, None if it has changed since or never had one."""
    ours = built_in(scenario.id)
    return ours if ours is not None and ours.fingerprint == fingerprint(scenario) else None


def keep_built_in(made: Iterable[Recording]) -> None:
    """Write recordings to where those that ship are; each takes the place of the one that its scenario had."""
    listed = dict(_without_calls())
    for recording in made:
        path = built_in_path(recording.scenario)
        if recording.without_calls:
            listed[recording.scenario] = recording
            path.unlink(missing_ok=True)
        else:
            listed.pop(recording.scenario, None)
            write(recording, path)
    if listed != _without_calls():
        write_text_atomic(BUILT_IN / WITHOUT_CALLS, "".join(_line(listed[name]) for name in sorted(listed)))


def _without_calls() -> dict[str, Recording]:
    path = BUILT_IN / WITHOUT_CALLS
    try:
        known = path.stat()
    except FileNotFoundError:
        return {}
    return _read_without_calls(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=1)
def _read_without_calls(path: Path, _changed: int, _size: int) -> dict[str, Recording]:
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            recording = Recording.model_validate_json(line)
        except ValidationError as error:
            raise _unreadable(f"{path}:{number}", error) from None
        if not recording.without_calls or recording.scenario in found:
            raise RecordingError(f"{path}:{number}: {recording.scenario} has calls, or stands here twice")
        found[recording.scenario] = recording
    return found


def _line(recording: Recording) -> str:
    return recording.model_dump_json(include={"scenario", "fingerprint", "litellm"}) + "\n"


def cache_path(scenario: Scenario) -> Path:
    """Return the path in the cache, by content, so that an edited scenario never meets an old recording."""
    return _cached(fingerprint(scenario))


def _cached(fingerprint: str) -> Path:
    return cache_folder() / f"{fingerprint}.json"


def find(scenario: Scenario) -> Recording | None:
    """Find the recording of exactly this scenario: beside the catalogue, else in the cache, else None.

    Raises `RecordingError` for a damaged file beside the catalogue. One in the cache, where older versions of this
    program have written too, counts as none and is made anew.
    """
    if (ours := shipped(scenario)) is not None:
        return ours
    wanted = fingerprint(scenario)
    cached = _cached(wanted)
    with contextlib.suppress(RecordingError):
        if cached.is_file() and (recording := read(cached)).fingerprint == wanted:
            return recording
    return None


def missing(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """Return the scenarios that have no recording, or changed since it was made."""
    return [scenario for scenario in scenarios if find(scenario) is None]


def read(path: Path) -> Recording:
    """Read one file. Raises `RecordingError`."""
    try:
        return Recording.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise _unreadable(str(path), error) from None


def _unreadable(where: str, error: Exception) -> RecordingError:
    return RecordingError(f"{where}: not a recording ({error}); `parity record` makes it anew")


def write(recording: Recording, path: Path) -> None:
    write_text_atomic(path, recording.dumps())

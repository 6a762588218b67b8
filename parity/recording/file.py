"""Reads and writes recordings: a real LiteLLM's answers to a scenario's calls, in both dialects.

A recording holds each call next to its answer, so that a double can refuse a call that nobody recorded:

    Recording ── process: [ProcessCall]   the call to, and the HTTP answer of, the LiteLLM process
              └─ sdk:     [SdkCall]       the call to, and what came out of, LiteLLM's function

A recording that ships has a file of its own, but for those without a call: of them nothing is known but that nobody was
asked, and one file lists them all, a line each. There is a set of recordings for each supported version of LiteLLM:

    recordings/                     all that the reference version said
    recordings/versions/1.110.2/    what 1.110.2 said otherwise, and the list of what it said alike
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from packaging.version import Version
from pydantic import Field, ValidationError

from parity.catalogue.loading import fingerprint
from parity.catalogue.scenario import Scenario
from parity.observation.model import UpstreamCall
from parity.support.files import cache_folder, write_text_atomic
from parity.support.frozen import Frozen

BUILT_IN = Path(__file__).parents[1] / "recordings"
WITHOUT_CALLS = "without_calls.jsonl"
"""The file of a version's folder that lists the recordings without a call: scenario, fingerprint and LiteLLM's
version.
"""
REFERENCE = "1.106.2"
"""The version of LiteLLM whose recordings are whole; of every other one only what differs from them is kept."""
FURTHER = "versions"
"""The folder in `BUILT_IN` with a folder for each other version."""
SAME = "as_reference.jsonl"
"""The file of another version's folder that lists the scenarios of which it says what the reference says."""
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


def shipped_versions() -> list[str]:
    """Return the versions of LiteLLM whose recordings ship, the reference first, then from old to new."""
    further = BUILT_IN / FURTHER
    names = [folder.name for folder in further.iterdir()] if further.is_dir() else []
    return [REFERENCE, *sorted(names, key=Version)]


def folder_of(litellm: str) -> Path:
    """Return the folder of the recordings of a version that ship."""
    return BUILT_IN if litellm == REFERENCE else BUILT_IN / FURTHER / litellm


def built_in_path(scenario_id: str, litellm: str = REFERENCE) -> Path:
    """Name the file of a recording that ships, if it has a call and a file of its own."""
    theme, _, name = scenario_id.partition(".")
    return folder_of(litellm) / theme / f"{name}.json"


def built_in(scenario_id: str, litellm: str = REFERENCE) -> Recording | None:
    """Read the recording that ships with a scenario, whatever the scenario was then. Raises `RecordingError`."""
    path = built_in_path(scenario_id, litellm)
    if path.is_file():
        return read(path)
    if (listed := _listed(folder_of(litellm) / WITHOUT_CALLS).get(scenario_id)) or litellm == REFERENCE:
        return listed
    same, reference = _listed(folder_of(litellm) / SAME).get(scenario_id), built_in(scenario_id)
    if same is None or reference is None or same.fingerprint != reference.fingerprint:
        return None
    return reference.model_copy(update={"litellm": litellm})


def shipped(scenario: Scenario, litellm: str = REFERENCE) -> Recording | None:
    """Return the recording that ships with exactly this scenario, None if it has changed since or never had one."""
    ours = built_in(scenario.id, litellm)
    return ours if ours is not None and ours.fingerprint == fingerprint(scenario) else None


def keep_built_in(made: Iterable[Recording], as_reference: Collection[str] = ()) -> None:
    """Write recordings to where those that ship are; each takes the place of the one that its scenario had.

    `as_reference` names the scenarios whose recordings of another version are like the reference's: they need no file.
    """
    by_version: dict[str, list[Recording]] = {}
    for recording in made:
        by_version.setdefault(recording.litellm, []).append(recording)
    for litellm, recordings in by_version.items():
        lists = {name: dict(_listed(folder_of(litellm) / name)) for name in (WITHOUT_CALLS, SAME)}
        for recording in recordings:
            path = built_in_path(recording.scenario, litellm)
            for listed in lists.values():
                listed.pop(recording.scenario, None)
            if litellm != REFERENCE and recording.scenario in as_reference:
                lists[SAME][recording.scenario] = recording
            elif recording.without_calls:
                lists[WITHOUT_CALLS][recording.scenario] = recording
            else:
                write(recording, path)
                continue
            path.unlink(missing_ok=True)
        for name, listed in lists.items():
            path = folder_of(litellm) / name
            if listed != _listed(path):
                write_text_atomic(path, "".join(_line(listed[scenario]) for scenario in sorted(listed)))


def _listed(path: Path) -> dict[str, Recording]:
    try:
        known = path.stat()
    except FileNotFoundError:
        return {}
    return _read_list(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=8)
def _read_list(path: Path, _changed: int, _size: int) -> dict[str, Recording]:
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


def cache_path(scenario: Scenario, litellm: str) -> Path:
    """Return the path in the cache, by content and version, so that an edited scenario never meets an old recording."""
    return cache_folder() / f"{fingerprint(scenario)}-{litellm}.json"


def find(scenario: Scenario, litellm: str) -> Recording | None:
    """Find what this version of LiteLLM said of exactly this scenario: what ships, else from the cache, else None.

    Raises `RecordingError` for a damaged file beside the catalogue. One in the cache, where older versions of this
    program have written too, counts as none and is made anew.
    """
    if (ours := shipped(scenario, litellm)) is not None:
        return ours
    cached = cache_path(scenario, litellm)
    with contextlib.suppress(RecordingError):
        if cached.is_file() and (recording := read(cached)).fingerprint == fingerprint(scenario):
            return recording
    return None


def missing(scenarios: Iterable[Scenario], litellm: str) -> list[Scenario]:
    """Return the scenarios that have no recording of this version, or changed since it was made."""
    return [scenario for scenario in scenarios if find(scenario, litellm) is None]


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

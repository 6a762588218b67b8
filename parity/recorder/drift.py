"""Compares two recordings of one scenario, generated ids and times aside."""

from __future__ import annotations

import json
import re
from typing import Any

from parity.judging.jsondiff import canonical, changes
from parity.judging.jsonpath import to_path
from parity.judging.normalise import mask_json
from parity.recording.file import ProcessAnswer, Recording, SdkAnswer

DATA = re.compile(r"data: ?(.*)")


def compare(recorded: Recording | None, now: Recording, *, between_versions: bool = False) -> list[str]:
    """Return a line for each drift: scenario, path, recorded, now. Empty when the two agree exactly.

    `between_versions`: of which LiteLLM they are makes no difference.
    """
    if recorded is None:
        return [f"{now.scenario}: new, {len(now.process)} call(s) to the process, {len(now.sdk)} to the SDK"]
    lines = []
    if recorded.fingerprint != now.fingerprint:
        lines.append(f"{now.scenario}: the scenario was changed since it was recorded")
    if between_versions:
        recorded = recorded.model_copy(update={"litellm": now.litellm})
    for parts, before, after in changes(_comparable(recorded), _comparable(now)):
        lines.append(f"{now.scenario}: {to_path(parts)}: recorded {_short(before)}, now {_short(after)}")
    return lines


def _comparable(recording: Recording) -> Any:
    """Return the calls and answers, with the JSON inside texts and frames parsed."""
    data = recording.model_dump(mode="json", include={"litellm"})
    for side in ("process", "sdk"):
        data[side] = [
            {"call": made.call.model_dump(mode="json"), "answer": opened(made.answer)}
            for made in getattr(recording, side)
        ]
    return mask_json(data)


def opened(answer: ProcessAnswer | SdkAnswer | None) -> dict[str, Any] | None:
    """Return an answer as data, the JSON inside of its text and its frames parsed."""
    if answer is None:
        return None
    data = answer.model_dump(mode="json")
    if data.get("text") is not None:
        data["text"] = _opened(data["text"])
    if data["frames"] is not None:
        data["frames"] = [[_line(line) for line in frame.split("\n")] for frame in data["frames"]]
    return data


def _line(line: str) -> Any:
    found = DATA.fullmatch(line)
    return _opened(found[1]) if found else line


def _opened(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= 200 else f"{text[:200]}…"

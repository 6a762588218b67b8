"""Reads JSON no deeper than a limit, and writes it as it leaves either proxy: compact, whatever the values are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_DEEPEST = 200
"""Lists and objects in one another in an answer that is read."""

_HALF = re.compile("[\ud800-\udfff]")


def json_text(value: Mapping[str, Any]) -> str:
    """`value` as JSON that UTF-8 can encode, in characters rather than escapes.

    A number that JSON has no way to write is null, as the LiteLLM process has it. Half of a surrogate pair, which is
    no character and which a provider can only have sent as an escape, stays one.
    """
    try:
        text = written(value)
    except ValueError:
        return json_text(_finite(value))
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return text


def written(value: Any) -> str:
    """Write any value as JSON; raises `ValueError` for a number that JSON has no way to write."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def is_deeper(value: Any, limit: int) -> bool:
    """Tell whether lists and objects are nested in one another more than `limit` times; nothing recurses for it."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        inner: list[Any] = []
        for item in level:
            members = item.values() if isinstance(item, dict) else item
            inner.extend(member for member in members if isinstance(member, dict | list))
        if not inner:
            return False
        level = inner
    return bool(level)


def parsed(text: str | bytes, max_depth: int) -> Any:
    """Parse JSON. Raises `ValueError`, also for what is nested more than `max_depth` deep."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep(max_depth) from None
    if is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


def _too_deep(limit: int) -> ValueError:
    return ValueError(f"nested too deeply: {limit} lists and objects in one another at most")


def json_object(text: str) -> dict[str, Any] | None:
    """The object that `text` is in JSON; None when it is something else, or nested beyond reason."""
    try:
        value = parsed(text, _DEEPEST)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def text_or_none(value: Any) -> str | None:
    """`value` where it is a text that says something."""
    return value if isinstance(value, str) and value else None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

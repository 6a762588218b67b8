"""JSON as it leaves either proxy: compact, on one line, readable by anyone, whatever the values are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_HALF = re.compile("[\ud800-\udfff]")


def json_text(value: Mapping[str, Any]) -> str:
    """`value` as JSON that UTF-8 can encode, in characters rather than escapes.

    A number that JSON has no way to write is null, as the LiteLLM process has it. Half of a surrogate pair, which is
    no character and which a provider can only have sent as an escape, stays one.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json_text(_finite(value))
    return text if text.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Writes and reads literal JSON paths as RFC 9535 does: `$.exchanges[0].response.headers['retry-after']`."""

from __future__ import annotations

import re
from collections.abc import Iterable

Part = str | int
Parts = tuple[Part, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>0|[1-9][0-9]*)\]|\['(?P<quoted>(?:[^'\\]|\\.)*)'\]"
)
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNESCAPED = {text: char for char, text in _ESCAPED.items()}


def to_path(parts: Iterable[Part]) -> str:
    """Write the path of these parts: `("headers", "retry-after", 0)` as `$.headers['retry-after'][0]`."""
    return "$" + "".join(_step(part) for part in parts)


def from_path(path: str) -> Parts:
    """Return the parts that `to_path` was given.

    Raises `ValueError` for all but literal paths: no `*`, `..` or filter.
    """
    if not path.startswith("$"):
        raise ValueError(f"a path starts with $, not {path[:1]!r}")
    parts: list[Part] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(
                f"no literal path from character {at} on: {path[at:]!r}; steps are .name, [0] and ['name']"
            )
        if step["name"] is not None:
            parts.append(step["name"])
        elif step["index"] is not None:
            parts.append(int(step["index"]))
        else:
            parts.append(re.sub(r"\\.", lambda m: _UNESCAPED.get(m[0], m[0]), step["quoted"]))
        at = step.end()
    return tuple(parts)


def _step(part: Part) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _NAME.fullmatch(part):
        return f".{part}"
    return "['" + "".join(_ESCAPED.get(char, char) for char in part) + "']"

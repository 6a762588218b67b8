"""Reads JSON that comes from outside: of targets, providers and files."""

from __future__ import annotations

from typing import Any

from proxies.support.jsontext import parsed

MAX_DEPTH = 200
"""The deepest nesting of lists and objects; comparing, masking and writing them is safe below a few hundred.
"""


def read_json(text: str | bytes) -> Any:
    """Parse JSON. Raises `ValueError`, also for what is nested deeper than `MAX_DEPTH`."""
    return parsed(text, MAX_DEPTH)

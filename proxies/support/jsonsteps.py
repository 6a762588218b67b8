"""Writes large JSON in short steps, between which others have their turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxies.support.fairness import TURN
from proxies.support.jsontext import json_text, written

_STEP = 64 * 1024
"""Characters that are written before others have their turn."""


def json_in_steps(value: Mapping[str, Any]) -> bytes:
    """Write what `json_text` does, as bytes, and in steps so short that other threads have their turn.

    A call of the json module lets nobody else on, and takes a tenth of a second for some 20 MB.
    """
    return _joined(_steps(value), value)


async def json_between(value: Mapping[str, Any]) -> bytes:
    """Write the same on the event loop, with pauses for others where it takes longer than a turn."""
    steps: list[str] = []
    paused = time.monotonic()
    try:
        for step in _steps(value):
            steps.append(step)
            if time.monotonic() - paused > TURN:
                await asyncio.sleep(0)
                paused = time.monotonic()
    except ValueError:
        return json_text(value).encode()
    return _joined(steps, value)


def _joined(steps: Iterable[str], value: Mapping[str, Any]) -> bytes:
    try:
        return "".join(steps).encode()
    except ValueError:  # a number or half a character that has no place in JSON
        return json_text(value).encode()


def _steps(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield '"'
        for start in range(0, len(value), _STEP):
            yield written(value[start : start + _STEP])[1:-1]
        yield '"'
    elif isinstance(value, dict) and any(map(_takes_long, value.values())):
        for number, (name, item) in enumerate(value.items()):
            yield f"{',' if number else '{'}{written(name)}:"
            yield from _steps(item) if _takes_long(item) else (written(item),)
        yield "}"
    elif isinstance(value, list) and any(map(_takes_long, value)):
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _steps(item) if _takes_long(item) else (written(item),)
        yield "]"
    else:
        yield written(value)


def _takes_long(value: Any) -> bool:
    return len(value) > _STEP if isinstance(value, str) else isinstance(value, dict | list)

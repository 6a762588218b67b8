"""Shortens values shown next to each other: cuts down what they have in common, marks what differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from typing import Any, NamedTuple

from parity.judging.jsondiff import ABSENT

LONGEST = 1200  # characters of one value that are shown
AROUND = 80  # characters of what is alike that stay on each side of what differs
LEAST_ALIKE = 6  # characters in common that make it worth marking the rest


class Run(NamedTuple):
    """Holds a piece of a value. `kind`: `same` and `diff` are its own text, `note` is a remark of the report."""

    kind: str
    text: str


def excerpts(values: Sequence[Any]) -> list[list[Run]]:
    """Cut each value into runs.

    When there are two and they have much in common, only the rest is `diff`.
    """
    texts = [pretty(value) for value in values]
    if len(texts) == 2:
        head, tail = _alike(*texts)
        shortest = min(map(len, texts))
        if shortest < head + tail + shortest / 2 and head + tail >= LEAST_ALIKE and texts[0] != texts[1]:
            return [_marked(text, head, tail) for text in texts]
    return [
        [Run("note", "nothing there")] if value is ABSENT else _cut(Run("same", text))
        for value, text in zip(values, texts, strict=True)
    ]


def pretty(value: Any) -> str:
    """Format as JSON, objects and lists on several lines; ABSENT as its bare marker."""
    if value is ABSENT:
        return str(ABSENT.value)
    indent = 2 if isinstance(value, dict | list) else None
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent)


def _alike(one: str, other: str) -> tuple[int, int]:
    """Count the characters that both begin with, and those of the rest that both end with."""
    head = sum(takewhile(bool, map(eq, one, other)))
    return head, sum(takewhile(bool, map(eq, reversed(one[head:]), reversed(other[head:]))))


def _marked(text: str, head: int, tail: int) -> list[Run]:
    before, middle, after = text[:head], text[head : len(text) - tail], text[len(text) - tail :]
    runs = []
    if len(text) > LONGEST and len(before) > AROUND:
        runs.append(Run("note", f"… {len(before) - AROUND} characters alike …"))
        before = before[-AROUND:]
    runs += [Run("same", before), *_cut(Run("diff", middle))]
    if len(text) > LONGEST and len(after) > AROUND:
        runs += [Run("same", after[:AROUND]), Run("note", f"… {len(after) - AROUND} characters alike …")]
    else:
        runs.append(Run("same", after))
    return [run for run in runs if run.text]


def _cut(run: Run) -> list[Run]:
    if len(run.text) <= LONGEST:
        return [run]
    return [Run(run.kind, run.text[:LONGEST]), Run("note", f"… ({len(run.text)} characters)")]

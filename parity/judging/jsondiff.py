"""Compares two JSON values: the smallest set of changes that a plain walk finds, with a path each.

Lists are compared item by item, and, when that isn't cheap, aligned first: an item too many is one change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import Enum
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from parity.judging.jsonpath import Parts

_LARGEST_BLOCK = 250_000  # pairs of items that are worth comparing with each other

Pair = tuple[int | None, int | None]


class Absent(Enum):
    """Marks that there is nothing at a path: the one value that no JSON has. Serialised as `<absent>`."""

    ABSENT = "<absent>"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


class Change(NamedTuple):
    """Holds one place where `left` and `right` differ.

    A list index is that of `left`; for an insertion, that of `right`.
    """

    parts: Parts
    left: Any
    right: Any


def same(left: Any, right: Any) -> bool:
    """Compare as JSON: the order of keys doesn't count, 1 equals 1.0, true equals no number."""
    return canonical(left) == canonical(right)


def canonical(value: Any) -> str:
    """Return a text that is the same for equal JSON values, and another one for ABSENT."""
    if value is ABSENT:
        return str(ABSENT.value)
    text: str = json.dumps(_one_number(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text


def changes(left: Any, right: Any, parts: Parts = ()) -> list[Change]:
    """Return every difference below `parts`, by sorted key and list order; empty when both are the same."""
    if same(left, right):
        return []
    if isinstance(left, dict) and isinstance(right, dict):
        return [
            change
            for key in sorted({*left, *right})
            for change in changes(left.get(key, ABSENT), right.get(key, ABSENT), (*parts, key))
        ]
    if isinstance(left, list) and isinstance(right, list):
        return _list_changes(left, right, parts)
    return [Change(parts, left, right)]


def _list_changes(left: list[Any], right: list[Any], parts: Parts) -> list[Change]:
    by_index: list[Change] | None = None
    if len(left) == len(right):
        by_index = [
            c for i, (a, b) in enumerate(zip(left, right, strict=True)) for c in changes(a, b, (*parts, i))
        ]
        if len(by_index) <= 2:
            return by_index
    aligned: list[Change] = []
    for i, j in align(left, right):
        if i is None and j is not None:
            aligned.append(Change((*parts, j), ABSENT, right[j]))
        elif i is not None and j is None:
            aligned.append(Change((*parts, i), left[i], ABSENT))
        elif i is not None and j is not None:
            aligned += changes(left[i], right[j], (*parts, i))
    return aligned if by_index is None or len(aligned) < len(by_index) else by_index


def align(left: Sequence[Any], right: Sequence[Any]) -> list[Pair]:
    """Return index pairs of the items that belong together, in order; None where one side has no counterpart."""
    a, b = [canonical(item) for item in left], [canonical(item) for item in right]
    if a > b:
        # Ties are broken by the order of the arguments; with a fixed one both ways give the same.
        return [(i, j) for j, i in align(right, left)]
    head = _common(a, b)
    tail = _common(a[head:][::-1], b[head:][::-1])
    rows, columns = range(head, len(a) - tail), range(head, len(b) - tail)
    pairs: list[Pair] = list(zip(range(head), range(head), strict=True))
    if len(rows) * len(columns) <= _LARGEST_BLOCK:
        pairs += _pair_up(left, right, rows, columns)
    else:
        matcher = SequenceMatcher(None, a[head : rows.stop], b[head : columns.stop], autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            block = _in_order if tag == "equal" else _pair_up
            pairs += block(left, right, rows[i1:i2], columns[j1:j2])
    return pairs + list(zip(range(rows.stop, len(a)), range(columns.stop, len(b)), strict=True))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the number of items that both lists begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _in_order(left: Sequence[Any], right: Sequence[Any], rows: range, columns: range) -> Iterator[Pair]:
    return zip_longest(rows, columns)


def _pair_up(left: Sequence[Any], right: Sequence[Any], rows: range, columns: range) -> Iterator[Pair]:
    """Pair items, in order and without crossing, so that the sum of their likeness is the greatest."""
    n, m = len(rows), len(columns)
    if not n or not m or n * m > _LARGEST_BLOCK:
        yield from _in_order(left, right, rows, columns)
        return
    ours, theirs = [_leaves(left[i]) for i in rows], [_leaves(right[j]) for j in columns]
    # A pair with nothing in common still beats a deletion plus an insertion, but no pair with a common leaf.
    alone = 1 / (1 + 4 * (n + m) * max(len(s) for s in (*ours, *theirs)))
    gain = [[alone + _likeness(a, b) for b in theirs] for a in ours]
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for i in range(n - 1, -1, -1):
        for j in range(m - 1, -1, -1):
            best[i][j] = max(best[i + 1][j + 1] + gain[i][j], best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < n and j < m:
        if best[i][j] == best[i + 1][j + 1] + gain[i][j]:
            yield rows[i], columns[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            yield rows[i], None
            i += 1
        else:
            yield None, columns[j]
            j += 1
    yield from ((row, None) for row in rows[i:])
    yield from ((None, column) for column in columns[j:])


def _likeness(left: frozenset[tuple[Parts, str]], right: frozenset[tuple[Parts, str]]) -> float:
    """Return the share of leaves that both have, from 0 to 1."""
    return 2 * len(left & right) / (len(left) + len(right))


def _leaves(value: Any) -> frozenset[tuple[Parts, str]]:
    return frozenset(_walk(value, ()))


def _walk(value: Any, parts: Parts) -> Iterator[tuple[Parts, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _walk(item, (*parts, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _walk(item, (*parts, index))
    else:
        yield parts, canonical(value)


def _one_number(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _one_number(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_one_number(item) for item in value]
    return value

"""JSON as it leaves the proxies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.support.jsontext import is_deeper, json_text, parsed

any_character = st.characters(exclude_categories=[])


@given(st.dictionaries(st.text(any_character), st.text(any_character) | st.integers() | st.none()))
def test_any_text_survives(value: dict[str, object]) -> None:
    """Every string comes back as it was, half characters included, and the text is one line of valid UTF-8."""
    text = json_text(value)
    assert json.loads(text.encode().decode()) == value
    assert "\n" not in text


@pytest.mark.parametrize("half", ["\ud83d", "a\ud800b", "\ude00\ud83d é"])
def test_half_a_character_stays_an_escape(half: str) -> None:
    """What a provider can only have written as an escape is written as one; all else as characters."""
    text = json_text({"é": half})
    assert text.startswith('{"é":"')
    assert json.loads(text.encode()) == {"é": half}


def test_what_is_no_number_is_null() -> None:
    """NaN and the infinities are null at any depth, beside half characters too."""
    value = {"a": [float("nan"), {"b": float("inf")}, 1.5], "c": "é\ud800"}
    assert json.loads(json_text(value)) == {"a": [None, {"b": None}, 1.5], "c": "é\ud800"}


@pytest.mark.parametrize(
    ("value", "depth"), [(1, 0), ({}, 1), ([[]], 2), ({"a": [{"b": 1}], "c": []}, 3), ([1, [2, [3]]], 3)]
)
def test_depth_is_counted_in_lists_and_objects(value: Any, depth: int) -> None:
    """Exactly as many in one another as there are."""
    assert not is_deeper(value, depth)
    assert is_deeper(value, depth - 1) == (depth > 0)
    assert parsed(json.dumps(value), depth) == value


@pytest.mark.parametrize("depth", [11, 900, 100_000])
def test_what_is_nested_too_deeply_is_no_value(depth: int) -> None:
    """Whether Python's parser still reads it or gives up: the same sentence."""
    with pytest.raises(ValueError, match="nested too deeply: 10 lists and objects"):
        parsed("[" * depth + "]" * depth, 10)

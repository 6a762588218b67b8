"""JSON as it leaves the proxies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.support.jsontext import json_text

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

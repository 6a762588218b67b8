"""Large JSON, written in steps."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxies.support.jsonsteps import json_between, json_in_steps
from proxies.support.jsontext import json_text
from tests.turns import turns_during

any_character = st.characters(exclude_categories=[])
values = st.recursive(
    st.text(any_character)
    | st.floats()
    | st.sampled_from(["é" * 70_000, '"\n' * 40_000, "a" * 65_536 + "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(any_character), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(any_character, max_size=5), values, max_size=3))
async def test_steps_make_the_same_text(value: dict[str, Any]) -> None:
    """Written in steps it is byte for byte what is written at once."""
    assert json_in_steps(value) == json_text(value).encode()
    assert await json_between(value) == json_text(value).encode()


async def test_writing_leaves_room_for_others() -> None:
    """While a large value is written, the event loop goes on."""
    large = {"messages": [{"role": "user", "content": "é" * 50} for _ in range(50_000)]}
    assert await turns_during(json_between(large)) > 3

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parity.judging.jsondiff import ABSENT, Change, align, changes, same
from parity.judging.jsonpath import Parts

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3)
)
json_values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


def leaf_paths(value: Any, parts: Parts = ()) -> list[Parts]:
    if isinstance(value, dict):
        return [path for key, item in value.items() for path in leaf_paths(item, (*parts, key))]
    if isinstance(value, list):
        return [path for index, item in enumerate(value) for path in leaf_paths(item, (*parts, index))]
    return [parts]


@given(json_values)
def test_nothing_differs_from_itself(value: Any) -> None:
    """A value and its copy have no changes."""
    assert changes(value, copy.deepcopy(value)) == []


@given(json_values, json_values)
def test_both_ways_find_as_many(left: Any, right: Any) -> None:
    """Swapping the sides never makes a difference appear or vanish."""
    there, back = changes(left, right), changes(right, left)
    assert len(there) == len(back)
    assert bool(there) is not same(left, right)


@given(json_values, st.data())
def test_one_changed_leaf_is_one_change_at_its_path(value: Any, data: st.DataObject) -> None:
    """The change stands where the leaf stands, with both of its values."""
    paths = leaf_paths(value)
    assume(paths and paths != [()])
    path = data.draw(st.sampled_from(paths))
    other = copy.deepcopy(value)
    holder = other
    for part in path[:-1]:
        holder = holder[part]
    before = holder[path[-1]]
    holder[path[-1]] = after = {"put": "here instead"}
    assert changes(value, other) == [Change(path, before, after)]


@given(st.lists(leaves, min_size=1, max_size=20), st.data())
def test_one_item_more_is_one_change(items: list[Any], data: st.DataObject) -> None:
    """An inserted item doesn't shift the blame to all that follow."""
    at = data.draw(st.integers(0, len(items)))
    new = "an item like no other"
    longer = [*items[:at], new, *items[at:]]
    assert changes(items, longer) == [Change((at,), ABSENT, new)]
    assert changes(longer, items) == [Change((at,), new, ABSENT)]


def test_one_item_more_among_equal_ones_is_one_change() -> None:
    """Items that repeat, such as keep-alives, are no reason to take another one for the new one."""
    assert changes([0, 0, 0], [0, 1, 0, 0]) == [Change((1,), ABSENT, 1)]


def test_an_item_more_is_found_where_every_item_differs() -> None:
    """Items pair up by what they have in common, so a field that all of them lack hides no insertion."""
    left = [{"text": t, "fingerprint": "x"} for t in "abcdef"]
    right = [{"text": t} for t in "abXcdef"]
    found = changes(left, right)
    assert Change((2,), ABSENT, {"text": "X"}) in found
    assert [c for c in found if c.right is not ABSENT] == [Change((2,), ABSENT, {"text": "X"})]
    assert len(found) == 7


def test_one_gone_and_one_come_are_two_changes() -> None:
    """Lists of equal length are aligned, too, when that is cheaper than going by index."""
    assert changes([1, 2, 3, 4, 5], [0, 1, 2, 3, 4]) == [Change((0,), ABSENT, 0), Change((4,), 5, ABSENT)]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, True, False),
        (0, False, False),
        (None, ABSENT, False),
        ("<absent>", ABSENT, False),
        ("1", 1, False),
        ([], {}, False),
    ],
)
def test_equality_is_that_of_json(left: Any, right: Any, equal: bool) -> None:
    """Numbers are one kind, truth another, and null is not nothing."""
    assert same(left, right) is equal


def test_long_lists_are_aligned_too() -> None:
    """Lists too long to compare each with each still find the equal items, and account for every other."""
    left = [*(f"a{i}" for i in range(550)), "same", "a"]
    right = [*(f"b{i}" for i in range(540)), "same", "b"]
    pairs = align(left, right)
    assert (550, 540) in pairs
    assert [i for i, _ in pairs if i is not None] == list(range(len(left)))
    assert [j for _, j in pairs if j is not None] == list(range(len(right)))


@given(json_values.filter(lambda v: isinstance(v, list)), json_values.filter(lambda v: isinstance(v, list)))
def test_alignment_is_the_same_both_ways(left: list[Any], right: list[Any]) -> None:
    """Which side comes first decides nothing."""
    assert align(left, right) == [(i, j) for j, i in align(right, left)]

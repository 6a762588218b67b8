from __future__ import annotations

import json

from parity.judging.jsondiff import ABSENT
from parity.report.excerpt import LONGEST, Run, excerpts, pretty


def test_what_is_alike_is_not_marked() -> None:
    """Of two values that have much in common, only the rest is marked."""
    assert excerpts(["the provider is away", "the provider is back"]) == [
        [Run("same", '"the provider is '), Run("diff", "away"), Run("same", '"')],
        [Run("same", '"the provider is '), Run("diff", "back"), Run("same", '"')],
    ]


def test_what_has_little_in_common_is_not_marked() -> None:
    """Marking all of a value says nothing."""
    assert excerpts([4290, 4291]) == [[Run("same", "4290")], [Run("same", "4291")]]
    assert excerpts(["equal", "equal"])[0] == [Run("same", '"equal"')]


def test_overlapping_ends_are_counted_once() -> None:
    """A value that is the other one with something repeated in it keeps every character, once."""
    for values in (["abababababab", "abababab"], ["abababab", "abababababab"]):
        shown = ["".join(run.text for run in runs) for runs in excerpts(values)]
        assert shown == [json.dumps(value) for value in values]


def test_nothing_there_is_a_note_and_no_text() -> None:
    """An absent value can't be taken for a text that looks like it."""
    assert excerpts([ABSENT, "<absent>"]) == [[Run("note", "nothing there")], [Run("same", '"<absent>"')]]


def test_a_difference_far_inside_is_shown() -> None:
    """A long value is cut around what differs, not before it."""
    left, right = excerpts(["x" * 3000 + "one" + "y" * 3000, "x" * 3000 + "two?" + "y" * 3000])
    assert (Run("diff", "one") in left, Run("diff", "two?") in right) == (True, True)
    assert sum(len(run.text) for run in left) < 300
    assert left[0] == Run("note", "… 2921 characters alike …")


def test_a_long_value_is_cut_and_says_so() -> None:
    """Its length stands where the rest was, also when it is what differs."""
    [runs] = excerpts(["z" * 5000])
    assert (len(runs[0].text), runs[1]) == (LONGEST, Run("note", "… (5002 characters)"))
    marked = excerpts(["s" * 6000 + "z" * 5000, "s" * 6000 + "q" * 5000])[0]
    assert [run.kind for run in marked] == ["note", "same", "diff", "note", "same"]
    assert marked[3].text == "… (5000 characters)"


def test_objects_stand_on_several_lines() -> None:
    """Keys are sorted, so that two sides line up."""
    assert pretty({"b": [1], "a": "é"}) == '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}'

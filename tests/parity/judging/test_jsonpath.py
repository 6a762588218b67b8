from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.judging.jsonpath import from_path, to_path


@given(st.lists(st.one_of(st.text(), st.integers(0, 99))).map(tuple))
def test_every_path_reads_back(parts: tuple[str | int, ...]) -> None:
    """What a path was made of is what it means."""
    assert from_path(to_path(parts)) == parts


def test_names_that_are_no_words_are_quoted() -> None:
    """Header names are written in brackets, as RFC 9535 has it."""
    assert to_path(("headers", "retry-after", 0, "a'b")) == "$.headers['retry-after'][0]['a\\'b']"


@pytest.mark.parametrize(
    "path", ["", "x", "$.a[*]", "$..a", "$.*", "$.a[-1]", "$.a[01]", "$.a[?(@.b)]", "$.a-b"]
)
def test_only_literal_paths_are_read(path: str) -> None:
    """A wildcard, a filter or a typo is refused instead of matching something."""
    with pytest.raises(ValueError, match="path"):
        from_path(path)

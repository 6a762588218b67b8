"""Patterns of the configuration, against text that a client chooses."""

from __future__ import annotations

import time

import pytest

from proxies.config.models import DEFAULT_PATTERNS
from proxies.config.patterns import PatternError, compiled


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", r"^(\w+\s?)*$"])
def test_no_text_takes_longer_than_its_length(pattern: str) -> None:
    """What keeps a backtracking engine busy for years is answered at once."""
    started = time.monotonic()
    assert not compiled(pattern).search("a" * 30_000 + "!\n")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^claude-cli/", "Claude-CLI/2.0", True),
        ("cli", "claude-cli/2.0", True),
        ("^cli", "claude-cli/2.0", False),
        ("^(Async)?OpenAI/Python", "AsyncOpenAI/Python 2.54.0", True),
        (r"\bide\b", "my ide 1", True),
        ("é", "É", True),
        (r"v\d{1,3}$", "v12", True),
        (r"v\d{1,3}$", "v12\n", False),
    ],
)
def test_searched_without_regard_to_case(pattern: str, text: str, found: bool) -> None:
    """A pattern is found anywhere in the text unless it is anchored."""
    assert bool(compiled(pattern).search(text)) is found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?=a)", "(?="),
        ("(?<!a)b", "(?<!"),
        (r"(a)\1", r"\1"),
        ("a++", "++"),
        ("(", "missing )"),
        ("a{,3}", "write {0,3} instead of {,3}"),
        ("a{5000}", "{5000}"),
    ],
)
def test_what_the_engine_lacks_is_refused(pattern: str, said: str) -> None:
    """A pattern that can't be used says which part of it is to blame."""
    with pytest.raises(PatternError) as refused:
        compiled(pattern)
    assert "is no regular expression" in str(refused.value)
    assert said in str(refused.value)


def test_the_defaults_are_patterns() -> None:
    """Every default row compiles."""
    assert all(compiled(row.pattern) for row in DEFAULT_PATTERNS)

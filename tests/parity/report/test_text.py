from __future__ import annotations

import pytest

from parity.report.text import printable


@pytest.mark.parametrize(
    "char", ["\x00", "\x1b", "\r", "\x7f", "\x85", "\u202e", "\u2066", "\u2028", "\ud800", "\uffff"]
)
def test_what_would_break_or_hide_is_escaped(char: str) -> None:
    """Control characters, direction marks and halves of characters are shown as their code."""
    assert printable(f"a{char}b") == f"a\\u{ord(char):04x}b"


def test_the_rest_stays() -> None:
    """Line feeds, tabs and every script in the world."""
    text = "tab\tline\n日本語 עברית 🎉 \\u0000 <b>"
    assert printable(text) == text

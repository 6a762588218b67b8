"""Texts of a page: escaped, whatever they say."""

from __future__ import annotations

import pytest

from parity.support.templates import prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a `b` and `c`", "a <code>b</code> and <code>c</code>"),
        ("a ` alone", "a ` alone"),
        ("`a` and ` alone", "<code>a</code> and ` alone"),
        ("<b> `</code><script>`", "&lt;b&gt; <code>&lt;/code&gt;&lt;script&gt;</code>"),
        ("`\x1b[31m\u202e`", "<code>\\u001b[31m\\u202e</code>"),
    ],
)
def test_what_stands_between_backticks_is_code(text: str, shown: str) -> None:
    """In pairs, and nothing in the text is obeyed."""
    assert prose(text) == shown

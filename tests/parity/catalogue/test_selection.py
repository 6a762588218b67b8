"""Expressions choose scenarios as pytest's -k does."""

from __future__ import annotations

import pytest

from parity.catalogue.selection import Selection, SelectionError
from tests.parity.builders import scenario

IDS = ("chat.gzip", "chat.plain", "errors.status[429]", "streaming.plain")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", IDS),
        ("chat", ("chat.gzip", "chat.plain")),
        ("CHAT and not gzip", ("chat.plain",)),
        ("gzip or 429", ("chat.gzip", "errors.status[429]")),
        ("(chat or streaming) and plain", ("chat.plain", "streaming.plain")),
        ("errors.status[429]", ("errors.status[429]",)),
    ],
)
def test_an_expression_means_parts_of_ids(expression: str, expected: tuple[str, ...]) -> None:
    """Names are parts of ids, joined by and, or, not and parentheses."""
    chosen = Selection(expression).of(scenario(i) for i in IDS)
    assert tuple(s.id for s in chosen) == expected


def test_meaning_nothing_is_an_error() -> None:
    """An expression that no scenario answers to is a mistake, never an empty success."""
    with pytest.raises(SelectionError, match="no scenario is selected"):
        Selection("nowhere").of([scenario()])


@pytest.mark.parametrize("expression", ["chat and", "(chat", "chat or or plain", "not"])
def test_a_malformed_expression_is_said_at_once(expression: str) -> None:
    """What can't be read is refused before anything is played."""
    with pytest.raises(SelectionError) as caught:
        Selection(expression)
    assert str(caught.value).startswith(f"-k {expression!r}: ")

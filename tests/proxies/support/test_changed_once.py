"""How functions of loaded libraries are changed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from proxies.support.changed_once import change, loaded


def doubled(original: Any) -> Any:
    return lambda *args: 2 * original(*args)


def test_a_function_is_changed_once() -> None:
    """However often it is asked for; it keeps its name."""

    class Library:
        def answer(self) -> int:
            """Say it."""
            return 21

    for _ in range(3):
        change(Library, "answer", doubled)
    assert Library().answer() == 42
    assert Library.answer.__doc__ == "Say it."


def test_a_static_one_stays_static() -> None:
    """It is called on the class and on what is made of it alike."""

    class Library:
        @staticmethod
        def answer() -> int:
            return 21

    change(Library, "answer", doubled, staticmethod)
    assert Library.answer() == Library().answer() == 42


def test_what_is_missing_stays_missing() -> None:
    """Another release of a library may lack the function, or the module."""
    library = SimpleNamespace()
    change(library, "answer", doubled)
    change(None, "__init__", doubled)
    assert not vars(library)
    assert loaded("no.such.module") is loaded("no.such.module", "answer") is None
    assert loaded("sys") is sys
    assert loaded("sys", "path") is sys.path

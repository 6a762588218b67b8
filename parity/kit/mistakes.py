"""Collects a test's mistakes in its use of mocks: raised where they happen, and kept until the test's end.

A proxy turns whatever is raised inside of it into an error answer, so raising alone would not reach the test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class MockMistake(AssertionError):
    """Reports a mistake in a test's mocks. The message says what is wrong and how to write it."""


class Notebook:
    """Holds the mistakes of one test. Safe to write from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sentences: list[str] = []
        self._told = 0
        self._closing: list[Callable[[], Iterable[str]]] = []

    def mistake(self, sentence: str) -> MockMistake:
        """Note a mistake; the caller raises it."""
        with self._lock:
            if sentence not in self._sentences:
                self._sentences.append(sentence)
        return MockMistake(sentence)

    def at_end(self, check: Callable[[], Iterable[str]]) -> None:
        """Register `check`, which returns sentences about what a test that passed so far has left undone."""
        self._closing.append(check)

    def raise_new(self) -> None:
        """Raise what was noted since the last time; called where control is back in the test."""
        with self._lock:
            new = self._sentences[self._told :]
            self._told = len(self._sentences)
        if new:
            raise MockMistake("\n".join(new))

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentences)

    def verdict(self) -> list[str]:
        """Return all that is wrong with a test whose body passed."""
        return [*self._sentences, *(sentence for check in self._closing for sentence in check())]

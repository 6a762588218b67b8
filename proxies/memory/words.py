"""Finds the turns of a conversation that fit a question, by their words; the stores of our own have it in common."""

from __future__ import annotations

import math
import re
import unicodedata

from proxies.memory.store import Result

MAX_TURNS = 5000
"""Turns kept of one user; the oldest go first."""
MAX_TEXT = 8000
"""Characters kept of what was said, and of what was answered."""
MAX_WORDS = 64
"""Words of a question that are looked up: the last ones, since questions stand at the end."""

_WORD = re.compile(r"[^\W_]+")
_SATURATION = 1.2
"""How soon a word that comes again and again in a turn counts no more, as in BM25."""


def words(text: str) -> list[str]:
    """The words of a text, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    if not plain.isascii():
        plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return _WORD.findall(plain)


def asked_for(query: str) -> list[str]:
    """The words of a question that are looked up, each once."""
    return list(dict.fromkeys(words(query)))[-MAX_WORDS:]


def rarity(total: int, turns: int) -> float:
    """How much a word counts that stands in so many of all turns."""
    return math.log(1 + total / (turns + 0.5))


def weight(times: int) -> float:
    """How much a word counts that stands so often in a turn."""
    return times / (times + _SATURATION)


def result(said: str, answered: str, asked: list[str]) -> Result:
    """A turn as a memory; its similarity is the share of the question's words that stand in it."""
    own = set(words(f"{said} {answered}"))
    share = sum(word in own for word in asked) / len(asked) if asked else 0.0
    return Result(f"The user said: {said} The answer was: {answered}", share)

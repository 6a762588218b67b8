"""Regular expressions from the configuration, on an engine whose time is linear in the text that it searches.

Such a pattern meets text that any client may choose. Python's own engine backtracks: `(a+)+$` against forty
letters keeps it busy for hours, and with it every other client. RE2 has no such patterns, and in return neither
lookarounds nor backreferences.
"""

from __future__ import annotations

import functools
import re
from typing import Protocol, cast

import re2

_WHY = "header patterns are RE2's, which has no lookarounds, backreferences or possessive repetition"
_OPEN_BELOW = re.compile(r"\{,\d+\}")


class Pattern(Protocol):
    def search(self, text: str, /) -> object | None: ...


class PatternError(ValueError):
    """A pattern that can't be used; the message says what in it is wrong, and what would be right."""


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """`pattern`, to be searched without regard to case. Raises `PatternError`.

    Unlike in Python's `re`, `\\d` and `\\w` are ASCII's alone, and `$` is the very end of the text.
    """
    if found := _OPEN_BELOW.search(pattern):
        # Python's {0,n}; here it would be these very characters.
        raise PatternError(f"is no regular expression: write {{0{found[0][1:]} instead of {found[0]}")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return cast(Pattern, re2.compile(pattern, options))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise PatternError(f"is no regular expression: {said}; {_WHY}") from None

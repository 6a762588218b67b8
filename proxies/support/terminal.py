"""Prints to terminals, and so to people: what a file, a provider or a client has written is shown, never obeyed.

A terminal obeys control characters, and characters that turn the direction of writing round make a line read
differently from what it says. Every command prints through `say` or a `SafeConsole`.
"""

from __future__ import annotations

import re
import sys
from typing import IO

import click

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of the text around it
    "\u200b\u2028\u2029\u2060\ufeff\ud800-\udfff\ufffe\uffff]"  # what hides, ends a line, or is no character
)


def printable(text: str) -> str:
    r"""Return `text` with an escape such as `\u001b` for all that a terminal obeys, HTML forbids, or that hides."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: object = "", *, err: bool = False, file: IO[str] | None = None) -> None:
    """Print `text` and a line end to stdout, with `err` to stderr; what the encoding lacks is escaped, too."""
    out = file or (sys.stderr if err else sys.stdout)
    encoding = getattr(out, "encoding", None) or "utf-8"
    shown = printable(str(text)).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown, file=out)

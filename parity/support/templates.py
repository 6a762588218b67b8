"""Renders pages of HTML in which every text is escaped, for HTML and for eyes."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from proxies.support.terminal import printable


def environment(folder: Path) -> Environment:
    """Return an environment of the templates in `folder`: what isn't Markup is escaped, an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_final,
    )
    made.filters["prose"] = prose
    return made


def prose(text: str) -> Markup:
    """Return the text escaped, and what stands between two of its backticks as code."""
    pieces = [Markup.escape(printable(piece)) for piece in text.split("`")]
    if len(pieces) % 2 == 0:  # the last backtick has no partner
        pieces[-2:] = [Markup("`").join(pieces[-2:])]
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(pieces))


def digest(text: str) -> str:
    """Return how a Content-Security-Policy names a style or a script of this text: `sha256-…`."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _final(value: Any) -> Any:
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)

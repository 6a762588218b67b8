"""Checks what `general_settings.cors_origins` names: origins as browsers write them."""

from __future__ import annotations

import re
from typing import Any

from proxies.config.models import ANY_ORIGIN

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^\s/?#@*:\[\]A-Z]+)(:[1-9]\d{0,4})?")
_USUAL_PORT = re.compile(r"^(http://.*):80$|^(https://.*):443$")


def origin_problem(origin: Any) -> str:
    """Tell what is wrong with `origin`, and what a browser would send; empty when it is right."""
    if origin == ANY_ORIGIN:
        return ""
    if not isinstance(origin, str):
        return "must be text, such as http://localhost:5173"
    sent = _as_sent(origin)
    if sent == origin and _ORIGIN.fullmatch(origin):
        return ""
    if _ORIGIN.fullmatch(sent):
        return f"is not how a browser writes an origin; did you mean {sent!r}?"
    return "is no origin: it is scheme, host and port, such as http://localhost:5173, or '*' for every page"


def _as_sent(origin: str) -> str:
    """An origin without what browsers leave out: a path, the usual port, capitals."""
    scheme, found, rest = origin.strip().partition("://")
    if not found:
        scheme, rest = "https", origin.strip()
    bare = f"{scheme}://{re.split(r'[/?#]', rest, maxsplit=1)[0]}".lower()
    usual = _USUAL_PORT.match(bare)
    return (usual[1] or usual[2]) if usual else bare

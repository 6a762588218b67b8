"""Finds the route that a request's target names, whichever way a client writes it.

http://proxy:8080/v1/models                     ──> /v1/models            absolute form, as to a forward proxy
/openai/v1/chat/completions                     ──> /v1/chat/completions  Groq's client, and Azure's newer one
/openai/deployments/NAME/chat/completions       ──> /v1/chat/completions  Azure's client, for the model NAME
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

DEPLOYMENT = "memory_proxy.deployment"
"""Where in the scope the model is that a path names; absent where it names none."""

_ABSOLUTE = re.compile(rb"(?i:https?)://[A-Za-z0-9.:\[\]_-]+(?P<path>/.*)?", re.DOTALL)
_OPENAI = b"/openai/v1/"
_DEPLOYMENT = re.compile(rb"/openai/deployments/(?P<name>[!-~]+)(?P<path>/chat/completions|/embeddings)")


def origin_form(target: bytes) -> bytes:
    """The path (and query) of a target in absolute form; any other target as it is."""
    matched = _ABSOLUTE.fullmatch(target)
    if matched is None:
        return target
    return matched["path"] or b"/"


class Targets:
    """A middleware that gives the routes one way of writing each path, and leaves everything else as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(_rewritten(scope) if scope["type"] == "http" else scope, receive, send)


def _rewritten(scope: Scope) -> Scope:
    written: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = origin_form(written)
    added = {}
    if matched := _DEPLOYMENT.fullmatch(raw):
        added[DEPLOYMENT] = unquote(matched["name"].decode("ascii"))
        raw = b"/v1" + matched["path"]
    elif raw.startswith(_OPENAI):
        raw = raw.removeprefix(b"/openai")
    if raw == written:
        return scope
    return {**scope, **added, "raw_path": raw, "path": unquote(raw.decode("latin-1"))}

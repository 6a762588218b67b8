"""Says about the connection of a request that its client has the key.

server ── puts `when_known` into each scope's state ──> front ── a right key came ──> `note_key` calls it
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Scope

PROBES = frozenset({"/health", "/health/readiness", "/metrics"})
"""Paths that are answered while all places for connections are taken."""

_KEY = "when_known"


def state_of_connection(when_known: Callable[[], None]) -> dict[str, object]:
    """Return what a server adds to the state of every request of one connection."""
    return {_KEY: when_known}


def note_key(scope: Scope) -> None:
    """Tell the server that received the request of `scope` that its key is right, where the server asks for that."""
    when_known = (scope.get("state") or {}).get(_KEY)
    if callable(when_known):
        when_known()

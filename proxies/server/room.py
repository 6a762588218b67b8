"""Places for connections: when all are taken, who waits idle without a key gives way to a newcomer, oldest first.

    newcomer ── a place is free, or somebody gives way ──> stays
             ── else a place for probes, in the same way ─> is answered when it asks for a probe, else 503
             ── else ────────────────────────────────────> 503

Somebody who has shown the key once, or is being answered, never gives way.
"""

from __future__ import annotations

from typing import Protocol

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.errors import ProxyError, error_response
from proxies.front.connections import PROBES
from proxies.shared import Count, Shared

PROBE_PLACES = 32
"""Beside the others, so that an operator sees a proxy whose places are all taken."""


class Guest(Protocol):
    """A connection that can be asked to go."""

    def give_way(self) -> None: ...


class Room:
    """Places for so many; the idle ones among those who have them are known, in the order in which they became so.

    Workers that have `count` in common have the places in common; who gives way is one of the newcomer's own worker.
    """

    def __init__(self, places: int, count: Count | None = None) -> None:
        self._places = places
        self._count = count or Shared().count()
        self._taken: set[Guest] = set()
        self._idle: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> bool:
        """Give an idle newcomer a place, another's if need be; False where there is none."""
        self._count.add(1)
        if self._count.total() > self._places:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                self._count.add(-1)
                return False
            self.leave(oldest)
            oldest.give_way()
        self._taken.add(guest)
        self.rest(guest)
        return True

    def rest(self, guest: Guest) -> None:
        """It is idle from now on. Nothing for one who has left."""
        if guest in self._taken:
            self._idle.pop(guest, None)
            self._idle[guest] = None

    def stay(self, guest: Guest) -> None:
        """It gives way to nobody until it rests again."""
        self._idle.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """Its place is free. Idempotent."""
        if guest in self._taken:
            self._taken.discard(guest)
            self._count.add(-1)
        self._idle.pop(guest, None)


def for_probes_alone(app: ASGIApp, refusal: ProxyError) -> ASGIApp:
    """`app` as it answers probes, one a connection; everything else gets the refusal."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"])["connection"] = "close"
            await send(message)

        chosen = app if scope["path"] in PROBES else error_response(refusal, scope["path"])
        await chosen(scope, receive, closing)

    return answer

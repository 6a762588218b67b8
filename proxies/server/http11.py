"""The HTTP/1.1 connections of a served proxy: uvicorn's on h11, with limits and the proxies' own envelope.

    accepted ── no place, see `room`: 503 ── headers late: 408, too large: 431, no HTTP: 400 ── the app ── kept alive

h11 whatever else is installed: uvicorn would take httptools where it finds it, which reads headers of any size
into memory. A refusal is written at once; then what the client still sends is read for a moment and thrown
away, since a socket that is closed with unread bytes takes the answer back (TCP RST).
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from types import ModuleType

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from proxies.config.limits import Limits
from proxies.errors import ProxyError, error_response
from proxies.front.connections import state_of_connection
from proxies.front.places import RETRY_AFTER
from proxies.front.target import origin_form
from proxies.server.room import PROBE_PLACES, Room, for_probes_alone
from proxies.shared import Count

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

LINGER = 2.0
"""Seconds for which the rest of a refused request is thrown away."""

_LINGERING = 256
"""So many refused connections may linger; further ones are closed at once."""

_FIRST_LINE = 16 * 1024
_OTHER_FILES = 256
_TARGET_WITHIN = 256
_TARGET = re.compile(rb"[A-Z]+ ([!-~]{1,200})")

_log = logging.getLogger(__name__)


def http11(limits: Limits, connections: Count | None = None) -> type[asyncio.Protocol]:
    """The class for uvicorn's option `http`, with limits of its own on what it keeps of a request.

    Workers that have `connections` in common take no more than `limits.max_connections` together.
    """
    rooms = (Room(limits.max_connections, connections), Room(PROBE_PLACES))
    return type("Connection", (_Connection,), {"limits": limits, "rooms": rooms, "lingering": set()})


def _largest_head(limits: Limits) -> int:
    """How many bytes of a request are kept that is not yet known to be one: its headers and its first line."""
    return limits.max_header_bytes + _FIRST_LINE


def make_room(*limits: Limits) -> list[Limits]:
    """Let this process open as many files as the `max_connections` of all that it serves may need.

    Returns the limits that can be kept: with fewer connections, and a warning, where it may not.
    """
    connections = sum(each.max_connections for each in limits)
    needed = _OTHER_FILES + 2 * connections  # each connection, and one to whom it is answered from
    if resource is None:
        return list(limits)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return list(limits)
    allowed = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == needed:
        return list(limits)
    share = (allowed - min(_OTHER_FILES, allowed // 4)) / 2 / connections
    kept = [max(1, int(each.max_connections * share)) for each in limits]
    _log.warning(
        "only %d files may be open, which is enough for %d connections; limits.max_connections: %d may need %d; "
        "raise `ulimit -n`",
        allowed,
        sum(kept),
        connections,
        needed,
    )
    return [
        each.model_copy(update={"max_connections": most}) for each, most in zip(limits, kept, strict=True)
    ]


class _Reading(h11.Connection):
    """Remembers how the request begins that is being read, since a refusal's envelope depends on its target.

    h11 keeps no line that it has read. It is asked at each event, not at each piece that arrives: a piece may hold
    the end of one request and the beginning of the next.
    """

    begins = b""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is h11.IDLE:
            self.begins = self.trailing_data[0][:_TARGET_WITHIN]
        return super().next_event()


class _Connection(H11Protocol):
    limits: Limits
    rooms: tuple[Room, Room]
    """Of all connections of one server: the places, and those for probes."""
    lingering: set[_Connection]
    _room: Room | None = None
    _known = False
    _leaving = False
    _timer: asyncio.TimerHandle | None = None
    _awaits_headers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.conn: _Reading = _Reading(h11.SERVER, _largest_head(self.limits))
        self.app_state = self.app_state | state_of_connection(self._has_the_key)
        self._room = next((room for room in self.rooms if room.enter(self)), None)
        if self._room is None:
            self._refuse(self._full(), "")
            return
        if self._room is self.rooms[1]:
            self.app = for_probes_alone(self.app, self._full())
        self._await_headers()

    def give_way(self) -> None:
        """Go, idle as it is, since somebody else needs the place: with a refusal where an answer is awaited."""
        if self.conn.trailing_data[0]:
            self._refuse(self._full(), self._path())
        elif self.transport.get_write_buffer_size():
            self.transport.abort()  # it doesn't read its last answer either, and closing would wait for that
        else:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        super().data_received(data)
        if self._leaving:
            return
        if self.conn.their_state is not h11.IDLE:
            if self._room is not None and not (self.cycle and self.cycle.response_complete):
                self._room.stay(self)
            if self._awaits_headers:
                self._stop_timer()
        elif self.conn.trailing_data[0]:
            if not self._awaits_headers:
                self._await_headers()
        else:
            # What was left of an answered request has come; uvicorn stopped its own clock when it did.
            self._start_timer(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        unread = self.conn.their_state is h11.SEND_BODY
        super().on_response_complete()
        if self._room is not None and not self._known and self.cycle.response_complete:
            self._room.rest(self)
        if unread and not self.transport.is_closing():
            # Answered before its body had come, and uvicorn would go on reading it for ever.
            self._start_timer(LINGER, self.transport.close)
        elif not self._leaving and self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._await_headers()  # the next request's, of which some came before this answer was complete

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls it while it handles what h11 found wrong."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            refusal = ProxyError(
                431, f"The request's headers are larger than {self.limits.max_header_bytes} bytes."
            )
        else:
            refusal = ProxyError(400, "The request is not valid HTTP/1.1.")
        path = self._path()
        if self.cycle is not None and not self.cycle.response_complete:
            # It is the body that is broken, so somebody is reading it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self._refuse(refusal, path)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._leave()
        self.lingering.discard(self)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._leaving:
            self.transport.close()
        else:
            super().shutdown()

    def _has_the_key(self) -> None:
        self._known = True

    def _leave(self) -> None:
        if self._room is not None:
            self._room.leave(self)
            self._room = None

    def _full(self) -> ProxyError:
        message = f"The proxy has {self.limits.max_connections} connections open already. Try again."
        return ProxyError(503, message, headers={"retry-after": RETRY_AFTER})

    def _await_headers(self) -> None:
        self._start_timer(self.limits.header_timeout, self._headers_late)
        self._awaits_headers = True

    def _headers_late(self) -> None:
        if self.conn.trailing_data[0]:
            seconds = f"{self.limits.header_timeout:g} seconds"
            self._refuse(
                ProxyError(408, f"The request's headers did not arrive within {seconds}."), self._path()
            )
        else:
            self.transport.close()  # it asked for nothing, so it awaits no answer

    def _path(self) -> str:
        """Of the request that is being read; it decides about the envelope."""
        if self.cycle is not None and not self.cycle.response_complete:
            return self.scope["path"]
        target = _TARGET.match(self.conn.begins)
        return origin_form(target[1]).decode().partition("?")[0] if target else ""

    def _refuse(self, error: ProxyError, path: str) -> None:
        answer = error_response(error, path)
        lines = [
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode(),
            *(name + b": " + value for name, value in answer.raw_headers),
            b"connection: close",
        ]
        self._leaving = True
        self._leave()
        self._unset_keepalive_if_required()
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.lingering.add(self)
        if len(self.lingering) > _LINGERING:
            self.transport.close()
        else:
            self._start_timer(LINGER, self.transport.close)

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._awaits_headers = None, False

"""Server-sent events in both directions, after the WHATWG standard ("Interpreting an event stream")."""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event; several `data` lines come joined by a line feed."""

    data: str
    event: str = "message"
    id: str | None = None


class SSEDecoder:
    """Turns bytes, cut anywhere, into events.

    An event is given out with the chunk that holds the line ending of its blank line. Comments, `retry` and
    unknown fields are dropped, bytes that are no UTF-8 replaced.
    """

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._line: list[str] = []
        self._at_start = True
        self._after_cr = False
        self._data: list[str] = []
        self._event = ""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        return self._take(self._text.decode(chunk))

    def flush(self) -> list[Event]:
        """Return what is left at the end of the stream: also an event whose blank line never came.

        The standard drops that one; a provider that forgets the last newline has still said it.
        """
        events = self._take(self._text.decode(b"", final=True))
        if self._line:
            self._end_line(events)
        self._dispatch(events)
        return events

    def _take(self, text: str) -> list[Event]:
        events: list[Event] = []
        if text and self._at_start:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if text and self._after_cr:
            # The other half of a CRLF whose CR has ended the line already.
            self._after_cr = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._after_cr = True
        pieces = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for piece in pieces[:-1]:
            self._line.append(piece)
            self._end_line(events)
        if pieces[-1]:
            self._line.append(pieces[-1])
        return events

    def _end_line(self, events: list[Event]) -> None:
        line = "".join(self._line)
        self._line.clear()
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            events.append(Event("\n".join(self._data), self._event or "message", self._id))
        self._data.clear()
        self._event = ""


def encode(data: str, event: str | None = None) -> bytes:
    """One event on the wire; `event` is a name without line breaks."""
    head = f"event: {event}\n" if event else ""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (head + "".join(f"data: {line}\n" for line in lines) + "\n").encode()

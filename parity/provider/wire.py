"""Reads requests and writes replies on one HTTP/1.1 connection, byte by byte.

read_request   bytes → Request, by h11
send_reply     ProviderReply → bytes, by hand, because scenarios ask for what h11 refuses to send:
               wrong lengths, a chunked body without its end, a reset
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11

from parity.catalogue.scenario import ProviderReply, SseEvent
from parity.support.json import read_json

MAX_HEAD = 256 * 1024
LAST_CHUNK = b"0\r\n\r\n"
BODILESS = {204, 304}
LOCKSTEP_FROM = 4  # data events; LiteLLM itself holds back a frame or two, so shorter streams prove nothing


@dataclass(frozen=True, slots=True)
class Request:
    """Holds one request as received: `target` is the raw path with its query, header names are lower-case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def parsed_body(self) -> Any:
        """Return the JSON value; else the text (undecodable bytes escaped as `\\xNN`); None for an empty
        body.
        """
        if not self.body:
            return None
        try:
            return read_json(self.body)
        except ValueError:
            return self.body.decode("utf-8", "backslashreplace")


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Read the next request with its whole body; None when the peer closed before sending one.

    Raises `h11.RemoteProtocolError` for anything that is no HTTP/1.1 request, or half of one.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                go_on = connection.send(h11.InformationalResponse(status_code=100, headers=[]))
                writer.write(go_on or b"")
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Request(head.method.decode(), head.target.decode(), _joined(head), bytes(body))
        else:
            return None


def _joined(head: h11.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


async def send_reply(
    writer: asyncio.StreamWriter,
    reply: ProviderReply,
    *,
    method: str = "POST",
    at_middle: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Play `reply`; return when its last byte was handed to the kernel, or the connection was reset.

    `at_middle` is awaited once before the second half of the data events of a stream that has at least
    `LOCKSTEP_FROM` of them. A `hang` returns never: cancel it. Closing is the caller's.
    Raises `ConnectionError` when the peer went away, `ValueError` for a reply that HTTP cannot carry.
    """
    await asyncio.sleep(reply.delay)
    if reply.fault == "hang":
        await asyncio.Event().wait()
    if reply.fault == "reset":
        reset(writer)
        return
    body = None if reply.sse is not None else plain_body(reply)
    if body and reply.status in BODILESS:
        raise ValueError(f"a reply with status {reply.status} has no body; drop it from the scenario")
    given = {name.lower(): value for name, value in reply.headers.items()}
    chunked = "content-length" not in given and (
        reply.sse is not None or "chunked" in given.get("transfer-encoding", "").lower()
    )
    await _write(writer, _head(reply, given, chunked=chunked, length=None if body is None else len(body)))
    if method == "HEAD":
        return
    if body is None:
        await _send_stream(writer, reply, chunked=chunked, at_middle=at_middle)
        return
    await _write_pieces(writer, body, reply.split, chunked=chunked)
    if chunked:
        await _write(writer, LAST_CHUNK)


def plain_body(reply: ProviderReply) -> bytes:
    """Return the whole body of a reply that is no stream, encoded as the reply says."""
    text = (reply.text or "") * reply.repeat if reply.json_ is None else _compact(reply.json_)
    body = text.encode()
    return gzip.compress(body, mtime=0) if reply.encoding else body


def event_bytes(event: SseEvent, newline: str = "\n") -> bytes:
    """Return one event's bytes on the wire, with its blank line; `raw` untouched; empty for pauses and ends."""
    if event.raw is not None:
        return event.raw.encode()
    if event.comment is not None:
        return f": {event.comment}{newline}{newline}".encode()
    if event.data is None:
        return b""
    text = event.data if isinstance(event.data, str) else _compact(event.data)
    lines = [f"event: {event.event}"] if event.event is not None else []
    lines += [f"data: {line}" for line in re.split(r"\r\n|\r|\n", text)]
    return (newline.join(lines) + newline * 2).encode()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP RST: a linger time of 0 makes the kernel drop the connection instead of ending it."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _send_stream(
    writer: asyncio.StreamWriter,
    reply: ProviderReply,
    *,
    chunked: bool,
    at_middle: Callable[[], Awaitable[None]] | None,
) -> None:
    events = reply.sse or []
    total = sum(event.data is not None for event in events)
    middle = total // 2 if total >= LOCKSTEP_FROM else None
    packer = zlib.compressobj(wbits=31) if reply.encoding else None
    sent = 0
    for event in events:
        # Yields before an event and never after the last one: a caller that closes on reading `[DONE]`
        # must not find us still waiting, or a complete answer would count as cancelled.
        await asyncio.sleep(event.delay or 0)
        if event.end == "reset":
            reset(writer)
            return
        if event.end == "cut":
            return
        if event.data is not None:
            if at_middle is not None and sent == middle:
                await at_middle()
            sent += 1
        data = event_bytes(event, reply.newline)
        if packer is not None and data:
            data = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
        await _write_pieces(writer, data, reply.split, chunked=chunked)
    if packer is not None:
        await _write_pieces(writer, packer.flush(), reply.split, chunked=chunked)
    if chunked:
        await _write(writer, LAST_CHUNK)


def _head(reply: ProviderReply, given: dict[str, str], *, chunked: bool, length: int | None) -> bytes:
    own: dict[str, str] = {}
    if reply.sse is not None:
        own["content-type"] = "text/event-stream"
    elif reply.json_ is not None:
        own["content-type"] = "application/json"
    elif reply.text is not None:
        own["content-type"] = "text/plain; charset=utf-8"
    if reply.encoding is not None:
        own["content-encoding"] = reply.encoding
    if chunked:
        own["transfer-encoding"] = "chunked"
    elif length is not None and reply.status not in BODILESS and reply.status >= 200:
        own["content-length"] = str(length)
    own["connection"] = "close"
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unassigned"
    lines = [f"HTTP/1.1 {reply.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines += [f"{name}: {value}" for name, value in own.items() if name not in given]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _write_pieces(
    writer: asyncio.StreamWriter, data: bytes, size: int | None, *, chunked: bool
) -> None:
    for number, piece in enumerate(_pieces(data, size)):
        if number:
            await asyncio.sleep(0)
        await _write(writer, b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)


def _pieces(data: bytes, size: int | None) -> Iterator[bytes]:
    step = size or max(len(data), 1)
    return (data[start : start + step] for start in range(0, len(data), step))


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _compact(value: Any) -> str:
    """Write JSON in UTF-8; half of a surrogate pair, which UTF-8 can't hold, makes it ASCII with escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if any("\ud800" <= char <= "\udfff" for char in text):
        return json.dumps(value, separators=(",", ":"))
    return text

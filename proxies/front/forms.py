"""A form's parts, checked and written anew as their bytes pass by.

client ──parts──> name checked ── value checked where LiteLLM reads it ── written under our boundary ──> LiteLLM

What LiteLLM gets has one name and one value a part, and none of the ways to say a name twice that two parsers
could read differently.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from proxies.errors import ProxyError
from proxies.support.redact import redact_text

Check = Callable[[str, Any], None]
"""Takes a parameter's name and, of those in `READ`, its value (None of others); raises `ProxyError` to refuse."""

READ = ("metadata", "model")
"""Fields whose values LiteLLM obeys: `metadata` is JSON to it."""
_LARGEST_READ = 64 * 1024
_STEP = 16 * 1024
"""Bytes that are read before others have their turn."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+(\[\])?")
_NESTED_NAMES = ("expires_after[anchor]", "expires_after[seconds]")
"""The only names with something in their brackets that LiteLLM reads as OpenAI does."""


class Rewriter:
    """One form, of `most` fields at most. `content_type` is that of the bytes which `checked` gives."""

    def __init__(self, boundary: bytes, check: Check, most: int) -> None:
        self._check = check
        self._most = most
        self._fields = 0
        self._boundary = secrets.token_hex(16).encode()
        self.content_type = f"multipart/form-data; boundary={self._boundary.decode()}"
        self._out = bytearray()
        self._names: set[str] = set()
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._more_header,
                "on_header_value": self._more_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._more_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    async def checked(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The form written anew. Raises `ProxyError` 400 for one that can't be read, and what `check` raises."""
        try:
            async for piece in pieces:
                for start in range(0, len(piece), _STEP):
                    self._parser.write(piece[start : start + _STEP])
                    if self._out:
                        yield self._taken()
                    await asyncio.sleep(0)  # a form may consist of many small fields
            self._parser.finalize()
        except FormParserError:
            raise _unreadable() from None
        if not self._ended:
            raise _unreadable()
        yield self._taken()

    def _taken(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def _begin_part(self) -> None:
        self._fields += 1
        if self._fields > self._most:
            raise ProxyError(400, f"The form has more than {self._most} fields.")
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}

    def _more_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        name = self._header.strip().lower()
        if name in self._headers:
            raise ProxyError(400, "A part of the form has a header twice.")
        self._headers[name] = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or not options.get(b"name"):
            raise ProxyError(400, "A part of the form has no name.")
        self._name = _decoded(options[b"name"])
        self._admit(self._name)
        lines = [b'Content-Disposition: form-data; name="%b"' % _quoted(self._name)]
        if b"filename" in options:
            lines[0] += b'; filename="%b"' % _quoted(_decoded(options[b"filename"]))
            kind = self._headers.get(b"content-type", b"").strip()
            # LiteLLM reads a file's as it is; a field's would only change how its text is decoded.
            if kind and not re.search(rb"[\x00-\x1f\x7f]", kind):
                lines.append(b"Content-Type: " + kind)
        self._out += b"--%b\r\n%b\r\n\r\n" % (self._boundary, b"\r\n".join(lines))
        self._read: bytearray | None = bytearray() if self._name in READ else None
        if self._read is None:
            self._check(self._name.removesuffix("[]").partition("[")[0], None)

    def _admit(self, name: str) -> None:
        shown = redact_text(name)
        if not _PLAIN_NAME.fullmatch(name) and name not in _NESTED_NAMES:
            raise ProxyError(
                400,
                f"The field name '{shown}' is not allowed: letters, digits, and of brackets only [] at its end.",
                param=shown,
            )
        base = name.removesuffix("[]")
        many = base != name
        if f"{base}[]" in self._names if not many else base in self._names:
            raise ProxyError(400, f"The field '{shown}' is there with and without brackets.", param=shown)
        if name in self._names and not many:
            raise ProxyError(400, f"The field '{shown}' is there twice; send it once.", param=shown)
        self._names.add(name)

    def _more_data(self, data: bytes, start: int, end: int) -> None:
        if self._read is None:
            self._out += data[start:end]
            return
        self._read += data[start:end]
        if len(self._read) > _LARGEST_READ:
            raise ProxyError(
                400, f"The field '{self._name}' is larger than {_LARGEST_READ} bytes.", param=self._name
            )

    def _end_part(self) -> None:
        if self._read is not None:
            text = _decoded(bytes(self._read))
            self._check(self._name, text)
            self._out += text.encode()
        self._out += b"\r\n"

    def _end(self) -> None:
        self._ended = True
        self._out += b"--%b--\r\n" % self._boundary


def _unreadable() -> ProxyError:
    return ProxyError(400, "The request body is not a valid form.")


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise ProxyError(400, "The names and texts of a form must be UTF-8.") from None


def _quoted(text: str) -> bytes:
    """As browsers write it, so that no quote or line end gets out of the quotes."""
    for character, written in (("\\", "\\\\"), ('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, written)
    return text.encode()

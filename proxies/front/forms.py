"""The names of a form's fields, read as its bytes pass by, so that a form can't steer LiteLLM either."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote_plus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, QuerystringParser, parse_options_header

from proxies.errors import ProxyError

Check = Callable[[str], None]


async def checked(pieces: AsyncIterator[bytes], content_type: str, check: Check) -> AsyncIterator[bytes]:
    """`pieces`, each handed on once `check` has seen the names that are complete in it.

    What `check` raises ends the form. So does a form that can't be read: `ProxyError` 400.
    """
    parser = _parser(content_type, check)
    held = b""  # one piece back, since the last name may be complete only at the end
    async for piece in pieces:
        if parser is not None:
            try:
                parser.write(piece)
            except FormParserError:
                raise ProxyError(400, "The request body is not a valid form.") from None
        if held:
            yield held
        held = piece
    if parser is not None:
        parser.finalize()
    yield held


def _parser(content_type: str, check: Check) -> MultipartParser | QuerystringParser | None:
    """The parser that Starlette, and so LiteLLM, would take; None for what neither reads as a form."""
    kind, options = parse_options_header(content_type)
    if kind == b"application/x-www-form-urlencoded":
        return QuerystringParser(_Names(check).of_a_query())
    if kind != b"multipart/form-data":
        return None
    boundary = options.get(b"boundary")
    if not boundary:
        raise ProxyError(400, "The request body is a form without a boundary.")
    return MultipartParser(boundary, _Names(check).of_parts())


class _Names:
    """Callbacks that put names together, which may come in several bits."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._header = b""
        self._value = b""

    def of_a_query(self) -> Any:
        return {"on_field_name": self._more_value, "on_field_end": self._end_of_field}

    def of_parts(self) -> Any:
        return {
            "on_header_field": self._more_header,
            "on_header_value": self._more_value,
            "on_header_end": self._end_of_header,
        }

    def _more_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_of_header(self) -> None:
        header, value, self._header, self._value = self._header, self._value, b"", b""
        if header.lower() == b"content-disposition":
            self._check(parse_options_header(value)[1].get(b"name", b"").decode("utf-8", "replace"))

    def _end_of_field(self) -> None:
        name, self._value = self._value, b""
        self._check(unquote_plus(name.decode("utf-8", "replace")))

"""A request's body unpacked: gzip, in steps that leave room for others, and never to more than a body may have."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from starlette.requests import Request

from proxies.errors import ProxyError
from proxies.support.redact import redact_text

_GZIP = 16 + zlib.MAX_WBITS
_STEP = 256 * 1024
_NAMES = ("gzip", "x-gzip")


class Gunzip:
    """Unpacks a body that comes in pieces; raises `ProxyError` 400 for what is no gzip."""

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what `piece` adds to the body, in parts of a limited size."""
        part = b""
        while (
            piece or len(part) == _STEP
        ):  # a full part may have more behind it, of bytes that were read already
            if piece and self._inflating.eof:  # gzip may consist of several, one after the other
                self._inflating = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                part = self._inflating.decompress(piece, _STEP)
            except zlib.error:
                raise _unreadable() from None
            piece = self._inflating.unconsumed_tail or self._inflating.unused_data
            if part:
                yield part

    def end(self) -> None:
        """Return when the body was whole, else raise `ProxyError` 400."""
        if self._begun and not self._inflating.eof:
            raise _unreadable()


def gunzip_for(request: Request) -> Gunzip | None:
    """Return what unpacks the body of `request`; None where it isn't packed.

    Raises `ProxyError` 415 for any other content encoding.
    """
    written = [
        name.strip() for line in request.headers.getlist("content-encoding") for name in line.split(",")
    ]
    packed = [name for name in written if name and name.lower() != "identity"]
    if not packed:
        return None
    if len(packed) == 1 and packed[0].lower() in _NAMES:
        return Gunzip()
    raise ProxyError(
        415,
        f"The content encoding '{redact_text(', '.join(packed))}' is not read here; send gzip, or none.",
        headers={"accept-encoding": "gzip"},
    )


def _unreadable() -> ProxyError:
    return ProxyError(400, "The request body is not valid gzip.")

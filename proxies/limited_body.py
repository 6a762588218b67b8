"""Hands on the body of a provider's answer: unpacked, within limits, and read to the end that its readers leave.

It imports httpx alone, as `proxies.egress` does, since it runs in the LiteLLM process, too.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

import httpx

_PIECE = 64 * 1024
_FREE = 1024 * 1024
"""Bytes that any answer may unpack to, however well it was packed."""

_BLANK_LINES = (b"\n\n", b"\r\r", b"\r\n\r\n")

_LAST_EVENT = re.compile(rb"\[DONE\]|message_stop|response\.(?:completed|incomplete|failed)")
"""The events at which readers of OpenAI's and Anthropic's streams stop. That a text says so does no harm."""

END_WITHIN = 0.1
"""Seconds that the end of a stream is awaited behind its last event."""

_END_TAKES = 16 * 1024  # bytes

_endings: set[asyncio.Task[None]] = set()


class TooLarge(httpx.RemoteProtocolError):
    """An answer that is over a limit; the text says which."""


class LimitedBody(httpx.AsyncByteStream):
    """A body, unpacked, that breaks off when it is over a limit.

    `events`: it is a stream, and its readers stop at the last event. What ends the body often comes a little later, and
    a body that is closed before costs its connection: the next call would open another, and shake hands for TLS.
    """

    def __init__(
        self,
        body: httpx.AsyncByteStream,
        unpack: Callable[[bytes], Iterator[bytes]],
        measure: Callable[[bytes], None],
        events: bool,
    ) -> None:
        self._body = body
        self._unpack = unpack
        self._measure = measure
        self._events = events
        self._packed: AsyncIterator[bytes] | None = None
        self._end_is_near = False
        self._ending: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._packed = aiter(self._body)
        async for packed in self._packed:
            for piece in self._unpack(packed):
                self._measure(piece)
                self._end_is_near = self._end_is_near or (self._events and bool(_LAST_EVENT.search(piece)))
                yield piece
        self._end_is_near = False
        if self._ending is not None:  # it was waiting for this, or hasn't begun
            self._ending.cancel()
            await self._body.aclose()

    async def aclose(self) -> None:
        if self._ending is not None:
            return
        if self._end_is_near:
            self._ending = asyncio.ensure_future(self._await_end())
            _endings.add(self._ending)
            self._ending.add_done_callback(_endings.discard)
        else:
            await self._body.aclose()

    async def _await_end(self) -> None:
        assert self._packed is not None
        assert self._ending is not None
        timer = asyncio.get_running_loop().call_later(END_WITHIN, self._ending.cancel)
        try:
            left = _END_TAKES
            async for packed in self._packed:
                left -= len(packed)
                if left < 0:
                    break
        except RuntimeError:  # somebody is reading it to its end
            await asyncio.sleep(END_WITHIN)
        except Exception:  # noqa: S110  # it broke off behind its last event: nobody misses anything
            pass
        finally:
            timer.cancel()
            await self._body.aclose()


def reads_behind_the_end() -> bool:
    """Whether the running task reads a stream whose reader has stopped: nobody has asked for what it gets."""
    return asyncio.current_task() in _endings


async def await_ends() -> None:
    """Wait until those streams have ended that are closed and still read behind their last event: 0.1 s at most."""
    loop = asyncio.get_running_loop()
    if endings := [ending for ending in _endings if ending.get_loop() is loop]:
        await asyncio.wait(endings)


def measure_whole(limit: int) -> Callable[[bytes], None]:
    """Make a function that takes the pieces of a body, and raises `TooLarge` beyond `limit` bytes; 0 is no limit."""
    total = 0

    def measure(piece: bytes) -> None:
        nonlocal total
        total += len(piece)
        if limit and total > limit:
            raise TooLarge(f"The provider's answer is larger than {limit} bytes.")

    return measure


def measure_frames(limit: int) -> Callable[[bytes], None]:
    """Make a function that takes the pieces of a stream, and raises `TooLarge` for a frame beyond `limit` bytes."""
    length, end = 0, b""

    def measure(piece: bytes) -> None:
        nonlocal length, end
        seen = end + piece
        closed = max(seen.rfind(blank) + len(blank) if blank in seen else 0 for blank in _BLANK_LINES)
        length = len(seen) - closed if closed else length + len(piece)
        end = seen[-3:]
        if length > limit:
            raise TooLarge(f"A frame of the provider's stream is larger than {limit} bytes.")

    return measure


def unpacker(encoding: str, ratio: int) -> Callable[[bytes], Iterator[bytes]]:
    """Make a function that unpacks the pieces of a body, in pieces of 64 KiB at most.

    It raises `TooLarge` where more than 1 MiB grows beyond `ratio` times what was packed, and `httpx.DecodingError` for
    what isn't packed as the header `encoding` says. An encoding that wasn't asked for is `TooLarge` at once.
    """
    if encoding in ("", "identity"):
        return lambda piece: iter((piece,))
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TooLarge("The provider's answer is compressed in a way that it was not asked for.")
    packer = zlib.decompressobj(47)  # gzip's or zlib's header, whichever is there
    packed = unpacked = 0

    def unpack(piece: bytes) -> Iterator[bytes]:
        nonlocal packer, packed, unpacked
        if not packed and encoding == "deflate" and piece and (piece[0] & 15) != 8:
            packer = zlib.decompressobj(-15)  # without a header, as some servers send it
        packed += len(piece)
        while piece and not packer.eof:
            try:
                out = packer.decompress(piece, _PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from None
            piece = packer.unconsumed_tail
            unpacked += len(out)
            if unpacked > _FREE and unpacked > ratio * packed:
                raise TooLarge(f"The provider's answer is compressed more than {ratio} times.")
            if out:
                yield out

    return unpack

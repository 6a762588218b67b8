"""Guards the HTTP clients that call providers: what they follow, how much they take, whether they asked at all.

request ── noted ──> provider ──> response
                                     ├─ redirect   307 and 308 to the same origin are followed, else a 502 of ours
                                     └─ body       unpacked here; one that is too large is a 502 of ours, or breaks off;
                                                   what LiteLLM would misread is mended (`proxies.answers`)

It is used by the sessions of both proxies and, in the LiteLLM process, by every client that LiteLLM makes. So it needs
httpx alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from proxies.answers import (
    MendedStream,
    Resumed,
    as_stream,
    mended_error,
    mended_request,
    mended_whole,
    status_within,
    upstream_kind,
)
from proxies.limited_body import LimitedBody, TooLarge, measure_frames, measure_whole, unpacker

MOST_REDIRECTS = 3
_FOLLOWED = "followed_redirects"
_LARGE = 1024 * 1024
"""Bytes from which on a request is looked through in a thread."""

_CREDENTIAL = re.compile(r"auth|key|token|cookie|secret|signature", re.IGNORECASE)
_STREAM = re.compile(rb'"stream"\s*:\s*true')

UNASKED = "unasked"
"""The attribute of an exception that was recorded: whether it was raised before a provider was asked."""

UNREAD = "unread"
"""The attribute of an exception that was recorded: whether the provider's answer was a success, and not read."""


class Calls(list[str]):
    """The methods of calls that were made. `answered`: the last one was, and with a success; it had these `headers`.

    `streams` are the bodies of models' streams among their answers.
    """

    answered = False
    headers: Mapping[str, str] = {}

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[httpx.AsyncByteStream] = []

    async def end(self) -> None:
        """Close the streams that are still open, also where the library that asked has lost sight of one."""
        for body in self.streams:
            with contextlib.suppress(Exception):  # somebody may be reading it
                await body.aclose()


_asked: ContextVar[tuple[Calls, ...]] = ContextVar("asked", default=())


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How large a provider's answer may be: a plain one and a frame in bytes, unpacked to packed as a ratio."""

    answer: int = 64 * 1024 * 1024
    frame: int = 8 * 1024 * 1024
    ratio: int = 100


@contextlib.contextmanager
def noting_calls(calls: Calls | None = None) -> Iterator[Calls]:
    """Collect the calls that guarded clients make inside, in this task and those that it starts, into `calls`.

    Where one is inside another, both collect.
    """
    calls = Calls() if calls is None else calls
    token = _asked.set((*_asked.get(), calls))
    try:
        yield calls
    finally:
        _asked.reset(token)


class Guard:
    """Makes the event hooks of a client, which must follow redirects: those that aren't to be are replaced before.

    `mends`: its answers go to LiteLLM, which is to understand them.
    """

    def __init__(self, limits: AnswerLimits | None = None, *, mends: bool = False) -> None:
        self.limits = limits or AnswerLimits()
        self._mends = mends

    def hooks(self) -> dict[str, list[Callable[..., Awaitable[None]]]]:
        """The hooks of an `httpx.AsyncClient`."""
        asked: list[Callable[..., Awaitable[None]]] = [_note, _mend_request] if self._mends else [_note]
        return {"request": asked, "response": [self._check]}

    def sync_hooks(self) -> dict[str, list[Callable[..., None]]]:
        """The hooks of an `httpx.Client`, which look at redirects alone: LiteLLM calls no model with one."""
        return {"response": [_check_redirect_at_once]}

    async def _check(self, response: httpx.Response) -> None:
        if self._mends:  # LiteLLM stumbles over them, and no client could be given one
            raw = response.headers.raw
            response.headers = httpx.Headers([(name, value) for name, value in raw if value.isascii()])
        if _refused_redirect(response):
            await _refuse(response, _redirected(response.status_code))
        elif response.has_redirect_location:
            await _empty(response)
        else:
            await self._limit(response)
        for calls in _asked.get():
            calls.answered = response.is_success
            calls.headers = response.headers

    async def _limit(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        try:
            unpack = unpacker(encoding, self.limits.ratio)
        except TooLarge as error:
            await _refuse(response, str(error))
            return
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        events = kind == "text/event-stream"
        # What is fetched, such as a file, is handed on in pieces; what a model says is read as a whole.
        fetched = response.request.method == "GET" and response.status_code < 400
        measure = (
            measure_frames(self.limits.frame)
            if events
            else measure_whole(0 if fetched else self.limits.answer)
        )
        body = LimitedBody(response.stream, unpack, measure, events)
        if encoding != "identity":
            for name in ("content-encoding", "content-length"):
                response.headers.pop(name, None)
        if self._mends and not fetched and response.request.method == "POST":
            await _mend(response, body, kind)
        elif kind == "application/json" and not fetched and not await _streamed(response):
            await _read_whole(response, body)
        else:
            response.stream = body


async def _note(request: httpx.Request) -> None:
    for calls in _asked.get():
        calls.append(request.method)
    if "accept-encoding" in request.headers:
        request.headers["accept-encoding"] = "gzip, deflate"


async def _mend_request(request: httpx.Request) -> None:
    """Take out of a request what LiteLLM has made up."""
    if not (kind := upstream_kind(request)) or not isinstance(request.stream, httpx.ByteStream):
        return
    sent = await request.aread()
    large = len(sent) > _LARGE
    mended = await asyncio.to_thread(mended_request, kind, sent) if large else mended_request(kind, sent)
    if mended is not sent:
        request.stream = httpx.ByteStream(mended)
        vars(request)["_content"] = mended
        request.headers["content-length"] = str(len(mended))


def _check_redirect_at_once(response: httpx.Response) -> None:
    if _refused_redirect(response):
        response.stream.close()  # type: ignore[union-attr]  # a sync client's
        _replace(response, _redirected(response.status_code))


def _refused_redirect(response: httpx.Response) -> bool:
    """Whether `response` is a redirect that must not be followed. One that may be is counted."""
    status, request = response.status_code, response.request
    if not 300 <= status < 400 or status == HTTPStatus.NOT_MODIFIED:
        return False
    if request.method in ("GET", "HEAD") and not any(map(_CREDENTIAL.search, request.headers)):
        return False  # a picture that a message names, say: nothing travels that could be stolen
    followed = int(request.extensions.get(_FOLLOWED, 0))
    request.extensions[_FOLLOWED] = followed + 1
    return not (
        status in (HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT)
        and followed < MOST_REDIRECTS
        and isinstance(request.stream, httpx.ByteStream)  # else it can't be sent twice
        and _same_origin(request.url, response.headers.get("location", ""))
    )


def _same_origin(asked: httpx.URL, location: str) -> bool:
    try:
        target = asked.join(location)
    except (httpx.InvalidURL, ValueError):
        return False
    # Without a host httpx would put in the one that was asked, but not its port.
    named = httpx.URL(location)
    return (
        bool(location)
        and not (named.scheme and not named.host)
        and not target.userinfo
        and (_origin(target) == _origin(asked))
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _redirected(status: int) -> str:
    named = f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()
    return (
        f"The provider answered {named}: a redirect is only followed if it is a 307 or 308 to the same origin, "
        f"and no more than {MOST_REDIRECTS} times."
    )


async def _streamed(response: httpx.Response) -> bool:
    """Whether the answer may be a stream that goes by another name."""
    request = response.request
    if response.status_code >= 400 or not isinstance(request.stream, httpx.ByteStream):
        return False
    return _STREAM.search(await request.aread()) is not None


async def _read_whole(response: httpx.Response, body: httpx.AsyncByteStream) -> bytes | None:
    """Read the body of `response` into it; None where it is too large, and the response a 502 that says so."""
    try:
        whole = b"".join([piece async for piece in body])
    except TooLarge as error:
        await _refuse(response, str(error))
        return None
    await body.aclose()
    _become(response, response.status_code, response.headers, whole)
    return whole


async def _mend(response: httpx.Response, body: httpx.AsyncByteStream, content_type: str) -> None:
    """Make `response` one that LiteLLM understands, or a 502 that says why there is none."""
    asked = upstream_kind(response.request)
    streams = await _streamed(response)
    for calls in _asked.get() if streams else ():
        calls.streams.append(body)
    if streams and asked:
        if content_type != "application/json" or not await (resumed := Resumed(body)).is_json():
            response.stream = MendedStream(body if content_type != "application/json" else resumed, asked)
            return
        body = resumed
    elif response.status_code < 400 and (streams or content_type != "application/json") and not asked:
        response.stream = body
        return
    if (whole := await _read_whole(response, body)) is None:
        return
    failure = ""
    if response.status_code >= 400:
        mended = mended_error(whole)
    elif streams and asked:
        mended, failure = as_stream(asked, whole, await response.request.aread())
        response.headers["content-type"] = "text/event-stream"
    else:
        mended, failure = mended_whole(asked, whole, response.request.headers)
    if failure:
        _replace(response, failure, status_within(whole))
    elif mended is not whole:
        response.headers.pop("content-length", None)
        _become(response, response.status_code, response.headers, mended)


async def _empty(response: httpx.Response) -> None:
    """Leave out the body of a redirect, which httpx would read as a whole before it follows."""
    await response.stream.aclose()  # type: ignore[union-attr]  # an async client's
    response.headers.pop("content-encoding", None)
    response.stream = httpx.ByteStream(b"")


async def _refuse(response: httpx.Response, message: str) -> None:
    await response.stream.aclose()  # type: ignore[union-attr]  # an async client's
    _replace(response, message)


def _replace(response: httpx.Response, message: str, status: int = HTTPStatus.BAD_GATEWAY) -> None:
    """Make `response` an error that says `message`, as a provider would write it."""
    error = {"message": message, "type": "api_error", "param": None, "code": "bad_gateway"}
    body = json.dumps({"error": error}).encode()
    _become(response, status, httpx.Headers({"content-type": "application/json"}), body)


def _become(response: httpx.Response, status: int, headers: httpx.Headers, body: bytes) -> None:
    """Make `response` another one, in place: hooks can't give back a new one."""
    for read in ("_content", "_decoder"):  # what a transport of a test may have read before
        vars(response).pop(read, None)
    response.__init__(  # type: ignore[misc]
        status,
        headers=headers,
        stream=httpx.ByteStream(body),
        request=response.request,
        extensions=response.extensions,
    )


def add_hooks(client: Any, hooks: Mapping[str, list[Any]]) -> None:
    """Give `client` these hooks behind those that it has."""
    present = client.event_hooks
    client.event_hooks = {
        event: [*present.get(event, []), *hooks.get(event, [])] for event in {*present, *hooks}
    }

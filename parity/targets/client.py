"""Plays the client's side of a scenario, the same for every target and tier: requests out, exchanges back.

The httpx client that is handed in decides where they go: to an app in this process or over a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from httpx_sse import EventSource

from parity.catalogue.scenario import ClientRequest, Scenario
from parity.observation.fold import fold
from parity.observation.model import Exchange, Frame, Response, Stream
from parity.support.json import read_json

TRANSPORT_HEADERS = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
)
"""The response headers that a server adds to any answer; they say nothing about who answered."""

LAST_EVENTS = frozenset({"message_stop", "response.completed", "response.incomplete"})
"""The named events with which a stream ends properly; other streams end with `[DONE]`."""

OnFrame = Callable[[int], Awaitable[None]]
UntilCalled = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Holds the keys that the words of `ClientRequest.auth` stand for; an empty key is sent in no header."""

    key: str = field(repr=False)
    wrong: str = field(default="sk-not-the-key-of-this-proxy", repr=False)

    def headers(self, auth: str) -> dict[str, str]:
        if not self.key and auth != "wrong":
            return {}
        match auth:
            case "bearer":
                return {"authorization": f"Bearer {self.key}"}
            case "x-api-key" | "api-key":
                return {auth: self.key}
            case "wrong":
                return {"authorization": f"Bearer {self.wrong}"}
            case _:
                return {}


async def play(
    client: httpx.AsyncClient,
    scenario: Scenario,
    *,
    keys: Credentials,
    on_frame: OnFrame | None = None,
    until_called: UntilCalled | None = None,
) -> list[Exchange]:
    """Send the scenario's requests one after the other; an exchange for each, nothing in them redacted.

    `on_frame(n)` is awaited when the n-th frame of a stream (from 1) has been read, before the next one is.
    `until_called()` returns once the provider has the call; `hang_up_after: 0` needs it.
    Raises `ValueError` for a request that cannot be made so. Transport errors are recorded, not raised.
    """
    return [
        await _exchange(client, request, keys, on_frame=on_frame, until_called=until_called)
        for request in scenario.client
    ]


async def _exchange(
    client: httpx.AsyncClient,
    asked: ClientRequest,
    keys: Credentials,
    *,
    on_frame: OnFrame | None,
    until_called: UntilCalled | None,
) -> Exchange:
    request = build_request(client, asked, keys)
    exchange = Exchange(method=asked.method, path=asked.path)
    try:
        if asked.hang_up_after == 0:
            if until_called is None:
                raise ValueError(
                    f"{asked.path}: hang_up_after: 0 needs to know when the provider has the call"
                )
            response = await _unless_called(client, request, until_called)
        else:
            response = await client.send(request, stream=True)
        if response is None:
            return exchange.model_copy(update={"hung_up": True})
        async with contextlib.aclosing(response):
            seen = await _read(response, asked.hang_up_after, on_frame)
    except httpx.RequestError as error:
        return exchange.model_copy(update={"failed": _sentence(error)})
    return exchange.model_copy(update={"hung_up": True} if seen is None else {"response": seen})


def build_request(client: httpx.AsyncClient, asked: ClientRequest, keys: Credentials) -> httpx.Request:
    """Build the request as it will be sent. The scenario's own headers win over all others.

    Raises `ValueError` when the body is longer than the `body_bytes` that it is to be padded to.
    """
    headers = {
        # Fixed, so that neither httpx's version nor an installed decoder changes what a target sees.
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "user-agent": "parity",
        **keys.headers(asked.auth),
    }
    content = _body(asked)
    if content is not None:
        headers["content-type"] = "application/json"
        if asked.encoding == "gzip":
            content = gzip.compress(content, mtime=0)
            headers["content-encoding"] = "gzip"
    headers |= {f"x-filler-{number}": "x" for number in range(asked.header_count)}
    if asked.header_bytes:
        headers["x-filler"] = "x" * asked.header_bytes
    headers |= {name.lower(): value for name, value in asked.headers.items()}
    return client.build_request(asked.method, asked.path, content=content, headers=headers)


def _body(asked: ClientRequest) -> bytes | None:
    if asked.json_ is not None:
        body = json.dumps(asked.json_, ensure_ascii=False).encode()
    elif asked.body is not None:
        body = asked.body.encode()
    elif asked.body_bytes is not None:
        body = b"{}"
    else:
        return None
    if asked.body_bytes is None:
        return body
    if len(body) > asked.body_bytes:
        raise ValueError(
            f"{asked.path}: the body has {len(body)} bytes, more than body_bytes: {asked.body_bytes}"
        )
    return body.ljust(asked.body_bytes)  # JSON may end in spaces, so the padding changes the size and no more


async def _unless_called(
    client: httpx.AsyncClient, request: httpx.Request, until_called: UntilCalled
) -> httpx.Response | None:
    """Send, and hang up as soon as the provider has the call; a response that was faster is returned."""
    sending = asyncio.ensure_future(client.send(request, stream=True))
    called = asyncio.ensure_future(_ours(until_called()))
    try:
        await asyncio.wait({sending, called}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            return sending.result()
        called.result()  # raises what the hook raised
        return None
    finally:
        called.cancel()
        if not sending.done():
            sending.cancel()
            await asyncio.wait({sending})
            with contextlib.suppress(asyncio.CancelledError, httpx.RequestError):
                await sending.result().aclose()


async def read_response(response: httpx.Response) -> Response:
    """Read the whole response of a client that doesn't hang up."""
    seen = await _read(response, None, None)
    assert seen is not None
    return seen


async def _read(
    response: httpx.Response, hang_up_after: int | None, on_frame: OnFrame | None
) -> Response | None:
    """Read the whole response; None when the client hung up half-way through its stream."""
    seen = Response(status=response.status_code, headers=visible_headers(response.headers))
    content_type = response.headers.get("content-type", "").lower()
    if content_type.startswith("text/event-stream"):
        stream = await _read_stream(response, hang_up_after, on_frame)
        return None if stream is None else seen.model_copy(update={"stream": stream})
    content = await response.aread()
    if not content:
        return seen
    if "json" in content_type:
        with contextlib.suppress(ValueError):
            return seen.model_copy(update={"json_body": read_json(content)})
    return seen.model_copy(update={"text": response.text})


async def _read_stream(
    response: httpx.Response, hang_up_after: int | None, on_frame: OnFrame | None
) -> Stream | None:
    frames: list[Frame] = []
    broken: str | None = None
    try:
        async with contextlib.aclosing(EventSource(response).aiter_sse()) as events:
            async for event in events:
                frames.append(Frame(event=event.event, data=_parsed(event.data)))
                if on_frame is not None:
                    await _ours(on_frame(len(frames)))
                if len(frames) == hang_up_after:
                    return None
    except httpx.RequestError as error:
        broken = _sentence(error)
    done = any(frame.data == "[DONE]" or frame.event in LAST_EVENTS for frame in frames)
    return Stream(frames=frames, message=fold(frames), done=done, broken=broken)


def visible_headers(headers: httpx.Headers) -> dict[str, str]:
    """Return lower-case names in order, repeated ones joined by a comma, without `TRANSPORT_HEADERS`."""
    return {name: value for name, value in sorted(headers.items()) if name not in TRANSPORT_HEADERS}


def _parsed(data: str) -> Any:
    try:
        return read_json(data)
    except ValueError:
        return data


async def _ours(hook: Awaitable[object]) -> None:
    """Await a hook. Its transport errors are the harness's own and must not pass for the target's."""
    try:
        await hook
    except httpx.RequestError as error:
        raise RuntimeError(f"a hook of the harness failed: {error!r}") from error


def _sentence(error: httpx.RequestError) -> str:
    return f"{type(error).__name__}: {error}"

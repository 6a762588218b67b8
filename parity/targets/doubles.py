"""Replays recordings in place of the two backends: LiteLLM behind httpx, and its own functions.

Each answers a call that was recorded and refuses every other one, naming the nearest. What was called, held
back, cancelled or refused is on the `Seen` that it was given, to be read after the scenario was played.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch

import httpx

from parity.catalogue.scenario import ProviderReply
from parity.observation.model import UpstreamCall
from parity.provider.memory import ReplayedMemory, leaks
from parity.recording import calls
from parity.recording.file import ProcessAnswer, ProcessCall, Recording, SdkAnswer, SdkCall
from parity.targets.arms import SDK_FUNCTIONS
from parity.targets.lockstep import Lockstep

Recorded = TypeVar("Recorded", ProcessCall, SdkCall)
Frame = TypeVar("Frame")

LIVENESS = "/health/liveliness"
"""The path of LiteLLM's liveness check. Part of the double, since the readiness of the binary proxy asks it.
"""


@dataclass
class Seen:
    """Holds what a double saw while a scenario was played."""

    lockstep: Lockstep = field(default_factory=Lockstep)
    calls: list[UpstreamCall] = field(default_factory=list)
    memory: list[UpstreamCall] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    cancelled: bool = False
    stayed: bool = False
    called: asyncio.Event = field(default_factory=asyncio.Event)
    repeats: bool = False
    """Whether the arm itself may repeat a failed call: the sdk proxy may; in the binary arm, LiteLLM does."""
    failed: UpstreamCall | None = None
    _again: set[int] = field(default_factory=set)

    @property
    def told(self) -> list[UpstreamCall]:
        """Return the calls without repetitions of failed ones, whose number only the live tier can prove."""
        return [call for position, call in enumerate(self.calls) if position not in self._again]

    def take(self, call: UpstreamCall, recorded: Sequence[Recorded]) -> Recorded | None:
        """Find the recording of a call: at the call's own position, else any equal one; None, and a fault,
        for none.
        """
        position = len(self.calls)
        if self.repeats and self.failed is not None and calls.canonical(self.failed) == calls.canonical(call):
            self._again.add(position)
        self.failed = None
        self.calls.append(call)
        self.called.set()
        wanted = calls.canonical(call)
        for candidate in itertools.chain(recorded[position : position + 1], reversed(recorded)):
            if calls.canonical(candidate.call) == wanted:
                return candidate
        self.faults.append(
            f"upstream call {position + 1} ({call.route}) was not recorded; "
            + calls.nearest(call, [r.call for r in recorded])
        )
        return None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Note the cancellation of a call that is under way."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            self.cancel()
            raise

    def cancel(self) -> None:
        """Note that a call under way was cancelled, unless the harness itself had to end it."""
        self.cancelled = self.cancelled or not self.stayed

    def stays(self) -> None:
        """Note that the app goes on although its client has gone, and is about to be stopped."""
        self.stayed = True
        self.faults.append("the app did not end after its client had gone")

    async def until_called(self) -> None:
        await self.called.wait()

    async def never(self) -> None:
        """Wait for ever, as a call that nobody answers does."""
        with self.watching():
            await asyncio.Event().wait()


class ReplayedProcess(httpx.AsyncBaseTransport):
    """Stands in for the LiteLLM process, as an httpx transport."""

    def __init__(self, recorded: Sequence[ProcessCall], seen: Seen) -> None:
        self._recorded = recorded
        self._seen = seen

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if request.url.path == LIVENESS:
            return httpx.Response(200, json="I'm alive!")
        self._seen.faults += leaks("LiteLLM", dict(request.headers), request.content.decode())
        found = self._seen.take(calls.from_http(request), self._recorded)
        if found is None:
            raise httpx.ConnectError("refused by the double: this call was not recorded", request=request)
        if found.answer is None:
            await self._seen.never()
        answer: ProcessAnswer = found.answer  # type: ignore[assignment]  # never() doesn't return
        headers = {
            k: v for k, v in answer.headers.items() if k not in ("content-length", "transfer-encoding")
        }
        if answer.frames is None:
            return httpx.Response(answer.status, headers=headers, content=(answer.text or "").encode())
        return httpx.Response(answer.status, headers=headers, stream=_Frames(answer, self._seen, request))


class _Frames(httpx.AsyncByteStream):
    def __init__(self, answer: ProcessAnswer, seen: Seen, request: httpx.Request) -> None:
        self._answer = answer
        self._seen = seen
        self._request = request
        self._left = len(answer.frames or [])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for frame in _paced(self._answer.frames or [], self._seen):
            self._left -= 1
            yield frame.encode()
        if self._answer.broken:
            raise httpx.RemoteProtocolError(self._answer.broken, request=self._request)

    async def aclose(self) -> None:
        # A reader may stop at the last frame: there is nothing left to cancel.
        if self._left:
            self._seen.cancel()


async def _paced(frames: Sequence[Frame], seen: Seen) -> AsyncIterator[Frame]:
    """Yield the frames, each withheld until the client has read the one before, unless that one may wait."""
    may_wait = True
    for frame in frames:
        if not may_wait:
            await seen.lockstep.until_read()
        seen.lockstep.sending()
        yield frame
        may_wait = _announces(frame)


def _announces(frame: Frame) -> bool:
    """Return whether a frame only announces a response; a proxy may withhold it until there is content."""
    event = frame.get("type") if isinstance(frame, dict) else frame
    return any(f"response.{how}" in str(event) for how in ("created", "queued", "in_progress"))


class ReplayedSdk:
    """Stands in for LiteLLM's function for `route`, as a coroutine function to patch in."""

    def __init__(
        self,
        recorded: Sequence[SdkCall],
        seen: Seen,
        alias: str,
        deployments: Sequence[Mapping[str, Any]],
        route: str = "chat/completions",
    ) -> None:
        self._route = route
        self._recorded = recorded
        self._seen = seen
        self._alias = alias
        self._deployments = deployments

    async def __call__(self, **arguments: Any) -> Any:
        from parity.recording import sdk_objects

        self._seen.faults += leaks("LiteLLM", arguments)
        deployment = calls.deployment_of(arguments, self._deployments)
        made = calls.from_arguments(self._route, self._alias, arguments, deployment)
        for name in ("model", "api_base", "api_key"):
            if arguments.get(name) != deployment[name]:
                self._seen.faults.append(
                    f"{SDK_FUNCTIONS[self._route]} got another {name} than the deployment's litellm_params say"
                )
        found = self._seen.take(made, self._recorded)
        if found is None:
            raise RuntimeError("refused by the double: this call was not recorded")
        if found.answer is None:
            await self._seen.never()
        answer: SdkAnswer = found.answer  # type: ignore[assignment]  # never() doesn't return
        self._seen.failed = made if answer.raises is not None else None
        if any(map(sdk_objects.is_event, answer.chunks or ())):
            return sdk_objects.ReplayedEvents(self._chunks(answer), answer)
        if answer.chunks is not None:
            return sdk_objects.ReplayedStream(self._chunks(answer), answer)
        if answer.frames is not None:
            return sdk_objects.ReplayedBytes(self._frames(answer), answer)
        if answer.raises is not None:
            raise sdk_objects.load_exception(answer.raises)
        if self._route == "messages":
            return deepcopy(answer.value)
        return sdk_objects.load_response(answer)

    async def _frames(self, answer: SdkAnswer) -> AsyncIterator[bytes]:
        from parity.recording import sdk_objects

        with self._seen.watching():
            async for frame in _paced(answer.frames or [], self._seen):
                yield frame.encode()
        if answer.raises is not None:
            raise sdk_objects.load_exception(answer.raises)

    async def _chunks(self, answer: SdkAnswer) -> AsyncIterator[Any]:
        from parity.recording import sdk_objects

        with self._seen.watching():
            async for chunk in _paced(answer.chunks or [], self._seen):
                yield sdk_objects.load_chunk(chunk)
        if answer.raises is not None:
            raise sdk_objects.load_exception(answer.raises)


class NoSockets(httpx.AsyncBaseTransport):
    """Refuses the requests of the mocked sdk arm's persistent clients: only LiteLLM may go out, and it is a
    double.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._seen.faults.append(f"{request.method} {request.url.host} went past LiteLLM's functions")
        raise httpx.ConnectError("no sockets in the mocked tier", request=request)


@contextlib.contextmanager
def httpx_on(transport: httpx.AsyncBaseTransport) -> Iterator[None]:
    """Put every `httpx.AsyncClient` made inside on `transport`: the real client, without its sockets."""

    class Client(httpx.AsyncClient):  # a subclass, since libraries ask isinstance(…, httpx.AsyncClient)
        def __init__(self, **options: Any) -> None:
            for name in ("transport", "mounts", "proxy"):
                options.pop(name, None)
            super().__init__(transport=transport, **options)

    # The session managers' pools too: a real one reads the certificates first, which takes longer than a cell.
    with patch("httpx.AsyncClient", Client), patch("httpx.AsyncHTTPTransport", lambda **_: transport):
        yield


def _with_memory(
    memory: Sequence[ProviderReply], elsewhere: httpx.AsyncBaseTransport, seen: Seen
) -> ReplayedMemory:
    return ReplayedMemory(memory, elsewhere, seen.memory, seen.faults)


@contextlib.contextmanager
def mocked_binary(recording: Recording, seen: Seen, memory: Sequence[ProviderReply] = ()) -> Iterator[None]:
    """Connect httpx to a replayed LiteLLM process, and to a memory store that answers with `memory`."""
    with httpx_on(_with_memory(memory, ReplayedProcess(recording.process, seen), seen)):
        yield


@contextlib.contextmanager
def mocked_sdk(
    recording: Recording,
    seen: Seen,
    alias: str,
    deployments: Sequence[Mapping[str, Any]],
    memory: Sequence[ProviderReply] = (),
) -> Iterator[None]:
    """Replace LiteLLM's functions by replays, and the memory store by `memory`; nothing else can go out."""
    from parity.recording import litellm_import  # noqa: F401  # before the patch below imports it

    with contextlib.ExitStack() as patched:
        patched.enter_context(httpx_on(_with_memory(memory, NoSockets(seen), seen)))
        # Nothing is to be gained by waiting before a retry: the recording knows what will be answered.
        patched.enter_context(patch("litellm.calculate_retry_after", lambda **_: 0))
        for route, place in SDK_FUNCTIONS.items():
            double: Callable[..., Awaitable[Any]] = ReplayedSdk(
                recording.sdk, seen, alias, deployments, route
            )
            patched.enter_context(patch(place, double))
        yield

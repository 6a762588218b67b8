"""Records what LiteLLM makes of a provider's bytes, in both dialects.

Nothing is computed here that a real LiteLLM would otherwise do: every scenario is played through both
proxies, in this process, against a real LiteLLM process and LiteLLM's real functions, with the stub
provider at the far end; taps on the two seams write down each call and its answer.

The one module that needs litellm and its proxy; import it only where they are.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from importlib.metadata import version
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import httpx

from parity.catalogue.loading import fingerprint
from parity.catalogue.scenario import Scenario
from parity.observation.model import UpstreamCall
from parity.provider.control import ProviderControl
from parity.provider.memory import is_memory
from parity.recorder.servers import Servers, patient
from parity.recording import calls, sdk_objects
from parity.recording.file import ProcessAnswer, ProcessCall, Recording, RecordingError, SdkAnswer, SdkCall
from parity.recording.litellm_import import litellm  # noqa: F401  # quietly, before anything asks for its functions
from parity.targets.arms import (
    ARMS,
    SDK_FUNCTIONS,
    UNASKED,
    UNREAD,
    Arm,
    create_app,
    noting_calls,
    reads_behind_the_end,
)
from parity.targets.client import Credentials, play
from parity.targets.deployments import MOCKED_KEY, PROVIDER_URL, REFUSED_URL
from parity.targets.doubles import httpx_on
from parity.targets.target import CALL_DEADLINE, client_of, without_noise
from proxies.support.redact import MASK, redact_headers

VOLATILE = re.compile(r"^(date|vary|x-litellm-(call-id|model-id|version|.*-(ms|spend|cost)))$")
"""The headers of the LiteLLM process that differ from run to run; recorded by name, with one fixed value."""
FALLBACKS = re.compile(r"(Fallbacks are configured for: ).*?(?=\. Add a fallbacks entry)")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
TIME_TAKEN = re.compile(r"(time taken=)\s*[\d.]+")
FIXED = "0"
HOP = frozenset(["connection", "content-length", "keep-alive", "transfer-encoding"])


class Tap:
    """Holds the calls and answers that passed one seam while a scenario was played."""

    def __init__(self) -> None:
        self.process: list[ProcessCall] = []
        self.sdk: list[SdkCall] = []
        self.failure: RecordingError | None = None

    def dump(self, value: Any) -> dict[str, Any]:
        """Call `dump_value` and keep what it raises: the proxy that reads the value takes that for a failed
        call.
        """
        try:
            return sdk_objects.dump_value(value)
        except RecordingError as error:
            self.failure = error
            raise

    def recording(self, scenario: Scenario) -> Recording:
        """Return what passed as a recording of the scenario."""
        return Recording(
            scenario=scenario.id,
            fingerprint=fingerprint(scenario),
            litellm=version("litellm"),
            process=self.process,
            sdk=self.sdk,
        )


class TappedProcess(httpx.AsyncBaseTransport):
    """Sends requests to the real LiteLLM process, and writes down each with its response."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        # Over plain HTTP: reading certificates would only take time.
        self._inner = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if is_memory(request):
            return await self._inner.handle_async_request(request)
        await request.aread()
        # Ask for no compression, since bodies are recorded as text; LiteLLM compresses only when asked to.
        request.headers["accept-encoding"] = "identity"
        call = calls.from_http(request)
        place = len(self._tap.process)
        self._tap.process.append(ProcessCall(call=call, answer=None))

        def record(**answer: Any) -> None:
            headers = {
                k: FIXED if VOLATILE.match(k) else v for k, v in response.headers.items() if k not in HOP
            }
            self._tap.process[place] = ProcessCall(
                call=call,
                answer=ProcessAnswer(status=response.status_code, headers=redact_headers(headers), **answer),
            )

        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            body = b"".join([piece async for piece in response.stream])  # type: ignore[union-attr]
            await response.aclose()
            record(text=body.decode())
            return httpx.Response(response.status_code, headers=response.headers, content=body)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_TappedBytes(response.stream, record)
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _TappedBytes(httpx.AsyncByteStream):
    def __init__(self, inner: Any, record: Any) -> None:
        self._inner = inner
        self._record = record
        self._seen = b""
        self._broken: str | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._inner:
                if not reads_behind_the_end():
                    self._seen += piece
                yield piece
        except httpx.TransportError as error:
            if not reads_behind_the_end():
                self._broken = f"{type(error).__name__}: {error}"
            raise

    async def aclose(self) -> None:
        # Not at the end of the loop above: a reader may stop early, and then the loop never ends.
        self._record(frames=_frames(self._seen), broken=self._broken)
        await self._inner.aclose()


def _frames(seen: bytes) -> list[str]:
    """Split a stream into its events; a comment goes with the event after it, since no client sees it by
    itself.
    """
    frames: list[str] = []
    for piece in re.findall(r".*?(?:\r?\n){2}|.+$", seen.decode(), re.DOTALL):
        if frames and frames[-1].startswith(":") and "\ndata:" not in frames[-1]:
            frames[-1] += piece
        else:
            frames.append(piece)
    return frames


_inside: ContextVar[bool] = ContextVar("inside", default=False)
"""Whether one of LiteLLM's functions is running: it may call another one, which is tapped, too."""


class TappedSdk:
    """Calls LiteLLM's real function for a route, and writes the call down when a proxy made it."""

    def __init__(
        self, tap: Tap, alias: str, deployments: list[dict[str, Any]], route: str = "chat/completions"
    ) -> None:
        self._real = resolve_name(SDK_FUNCTIONS[route])
        self._route = route
        self._tap = tap
        self._alias = alias
        self._deployments = deployments

    async def __call__(self, **arguments: Any) -> Any:
        if _inside.get():
            return await self._real(**arguments)
        deployment = calls.deployment_of(arguments, self._deployments)
        call = calls.from_arguments(self._route, self._alias, arguments, deployment)
        place = len(self._tap.sdk)
        self._tap.sdk.append(SdkCall(call=call, answer=None))

        def record(answer: SdkAnswer) -> None:
            self._tap.sdk[place] = SdkCall(call=call, answer=answer)

        token = _inside.set(True)
        try:
            with noting_calls() as made:
                value = await self._real(**arguments)
        except Exception as error:
            if not made and not isinstance(error, httpx.HTTPError):
                setattr(error, UNASKED, True)
            if made.answered:
                setattr(error, UNREAD, True)
            record(SdkAnswer(raises=sdk_objects.dump_exception(error)))
            raise
        finally:
            _inside.reset(token)
        headers = sdk_objects.dump_headers(value)
        if hasattr(value, "__anext__"):
            return _TappedStream(value, headers, record, self._tap)
        if hasattr(value, "__aiter__"):
            return _TappedStream(aiter(value), headers, record, self._tap)
        record(SdkAnswer(value=self._tap.dump(value), **headers))
        return value


class _TappedStream:
    """Wraps a stream that LiteLLM returned and notes each chunk; all else is passed to the stream itself."""

    def __init__(self, inner: Any, headers: dict[str, dict[str, str]], record: Any, tap: Tap) -> None:
        self._inner = inner
        self._tap = tap
        self._headers = headers
        self._record = record
        self._chunks: list[dict[str, Any]] = []
        self._bytes: bytes | None = None
        self._finished = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> _TappedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._inner.__anext__()
        except StopAsyncIteration:
            self._finish()
            raise
        except Exception as error:
            self._finish(sdk_objects.dump_exception(error))
            raise
        if isinstance(chunk, bytes):
            self._bytes = (self._bytes or b"") + chunk
        else:
            self._chunks.append(self._tap.dump(chunk))
        return chunk

    async def aclose(self) -> None:
        if not self._finished:
            self._finish()
        if hasattr(self._inner, "aclose"):
            await self._inner.aclose()

    def _finish(self, raises: Any = None) -> None:
        self._finished = True
        seen: dict[str, Any] = (
            {"chunks": self._chunks} if self._bytes is None else {"frames": _frames(self._bytes)}
        )
        self._record(SdkAnswer(**seen, raises=raises, **self._headers))


class Recorder:
    """Plays scenarios against the real LiteLLM at these servers; an async context manager."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._control = ProviderControl(servers.provider_url)

    async def __aenter__(self) -> Recorder:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._control.aclose()

    async def forget(self, scenario: Scenario) -> None:
        """Make the provider start over with a scenario's replies."""
        for arm in ARMS:
            await self._control.forget(arm, scenario.id)

    async def provider_calls(self, arm: Arm, scenario: Scenario) -> tuple[UpstreamCall, ...]:
        """Return the provider's calls on behalf of an arm since it was last told to forget."""
        state = await self._control.state(arm, scenario.id)
        return tuple(without_noise(call.upstream()) for call in state.calls)

    async def record(self, scenario: Scenario) -> Recording:
        """Play one scenario through both arms and return what LiteLLM answered."""
        tap = Tap()
        await self.forget(scenario)
        for arm in ARMS:
            config = self._servers.config([scenario], arm)
            app = create_app(
                arm, config, litellm_url=self._servers.litellm_url, litellm_key=self._servers.litellm_key
            )
            with self._tapped(arm, tap, scenario, config):
                async with client_of(app) as client:
                    await play(
                        client,
                        patient(scenario),
                        keys=Credentials(MOCKED_KEY),
                        until_called=self._until_called(arm, scenario),
                    )
        if tap.failure is not None:
            raise RecordingError(f"{scenario.id}: {tap.failure}")
        return self.placeless(tap.recording(scenario))

    def _until_called(self, arm: Arm, scenario: Scenario) -> Any:
        async def wait() -> None:
            await self._control.wait_called(arm, scenario.id, CALL_DEADLINE)

        return wait

    @contextlib.contextmanager
    def _tapped(self, arm: Arm, tap: Tap, scenario: Scenario, config: dict[str, Any]) -> Iterator[None]:
        if arm == "binary":
            with httpx_on(TappedProcess(tap)):
                yield
        else:
            params = [deployment["litellm_params"] for deployment in config["model_list"]]
            with contextlib.ExitStack() as patched:
                for route, place in SDK_FUNCTIONS.items():
                    patched.enter_context(patch(place, TappedSdk(tap, scenario.alias, params, route)))
                yield

    def placeless(self, recording: Recording) -> Recording:
        """Return the recording without the ports, folders and secrets of the machine it was made on."""
        text = recording.dumps().replace(json.dumps(sys.prefix)[1:-1], "…")
        for ours, shown in (
            (self._servers.provider_url, PROVIDER_URL),
            (self._servers.refused_url, REFUSED_URL),
        ):
            text = text.replace(ours, shown)
            text = text.replace(ours.removeprefix("http://"), shown.removeprefix("http://"))
            # LiteLLM masks the host in its error messages, but not the port.
            text = re.sub(rf"\b{ours.rpartition(':')[2]}\b", "0", text)
        text = FALLBACKS.sub(r"\g<1>…", text)
        text = ADDRESS.sub("0x0", TIME_TAKEN.sub(r"\g<1>0.5", text))
        # The only secret in play; what looks like one in a body is the scenario's, and the proxies must meet it.
        return Recording.model_validate_json(text.replace(self._servers.litellm_key, MASK))


async def make(servers: Servers, scenario: Scenario) -> Recording:
    """Record one scenario that these servers were started for."""
    async with Recorder(servers) as recorder:
        return await recorder.record(scenario)

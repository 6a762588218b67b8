"""Holds the targets: whatever can play a scenario.

MockedTarget   an arm in this process, its backend replaced by a double
LiveTarget     an arm as a process of its own, real LiteLLM behind it, the stub provider at the far end
UrlTarget      any OpenAI-compatible base URL: only what the client sees can be compared
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from asgi_lifespan import LifespanManager
from httpx import AsyncClient  # bound here, so that the doubles' patch of httpx leaves the harness alone
from starlette.types import ASGIApp

from parity.catalogue.scenario import Scenario, Tier
from parity.observation.model import Exchange, Observation, UpstreamCall
from parity.provider import memory as memories
from parity.provider.control import ProviderControl
from parity.recording import file as recordings
from parity.targets.arms import Arm, create_app
from parity.targets.asgi import StreamingASGITransport
from parity.targets.client import Credentials, play
from parity.targets.deployments import MOCKED_KEY, config_document
from parity.targets.doubles import Seen, mocked_binary, mocked_sdk
from parity.targets.official import Player, play_with
from proxies.support.redact import redact_headers, redact_json

CANCEL_DEADLINE = 5.0
CALL_DEADLINE = 10.0

HOP_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "host",
        "transfer-encoding",
        "user-agent",
    ]
)
"""The headers that every HTTP client adds on its own; they say nothing about the proxy in front."""

LITELLMS_OWN = "GET /v1/models"
"""The request that a LiteLLM process sends to its OpenAI deployments now and then, on nobody's behalf."""


class Target(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def tier(self) -> Tier: ...

    async def observe(self, scenario: Scenario) -> Observation: ...


@contextlib.asynccontextmanager
async def client_of(
    app: ASGIApp,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    has_read: Callable[[], None] = lambda: None,
    stays: Callable[[], None] = lambda: None,
) -> AsyncIterator[AsyncClient]:
    """Yield a client of an app in this process, its lifespan running.

    For the two hooks see `StreamingASGITransport`.
    """
    async with (
        LifespanManager(app, startup_timeout=60, shutdown_timeout=30),
        AsyncClient(
            transport=StreamingASGITransport(wrap(app), has_read, stays), base_url="http://proxy.invalid"
        ) as client,
    ):
        yield client


@dataclass(frozen=True)
class MockedTarget:
    """Plays scenarios on an arm with doubles.

    LiteLLM is the recordings of version `litellm`. `wrap` puts something between the client and the app, such as a
    deliberately faulty proxy.
    """

    name: Arm
    litellm: str = recordings.REFERENCE
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
    tier: Tier = "mocked"

    async def observe(self, scenario: Scenario) -> Observation:
        """Play one scenario. Raises `RecordingError` when it was never recorded."""
        recording = recordings.find(scenario, self.litellm)
        if recording is None:
            raise recordings.RecordingError(
                f"{scenario.id}: no recording of this scenario as it stands, of LiteLLM {self.litellm}; "
                "`parity record` makes it"
            )
        seen = Seen(repeats=scenario.deployment.repeats)
        config = config_document([scenario], self.name)
        params = [deployment["litellm_params"] for deployment in config["model_list"]]
        app = create_app(self.name, config)
        with self._doubles(recording, seen, scenario, params):
            async with client_of(app, self.wrap, seen.lockstep.has_read, seen.stays) as client:
                exchanges = await play(
                    client, scenario, keys=Credentials(MOCKED_KEY), until_called=seen.until_called
                )
        asked = scenario.expect.provider.cancelled is not None
        return Observation(
            scenario=scenario.id,
            target=self.name,
            tier=self.tier,
            exchanges=exchanges,
            upstream=[_redacted(call) for call in seen.told],
            memory=[without_noise(call) for call in seen.memory],
            held_back=seen.lockstep.held_back,
            cancelled=seen.cancelled if asked else None,
            faults=[*seen.faults, *_leaks(exchanges)],
        )

    @contextlib.contextmanager
    def _doubles(
        self, recording: recordings.Recording, seen: Seen, scenario: Scenario, params: list[dict[str, Any]]
    ) -> Iterator[None]:
        if self.name == "binary":
            with mocked_binary(recording, seen, scenario.memory):
                yield
        else:
            with mocked_sdk(recording, seen, scenario.alias, params, scenario.memory):
                yield


@dataclass(frozen=True)
class LiveTarget:
    """Plays scenarios on an arm that serves at `url`, its deployments pointing at a stub provider."""

    name: str
    url: str
    key: str
    provider_url: str
    tier: Tier = "live"

    async def observe(self, scenario: Scenario) -> Observation:
        async with (
            ProviderControl(self.provider_url) as control,
            # Over plain HTTP: reading certificates would only take time.
            AsyncClient(base_url=self.url, trust_env=False, timeout=60, verify=False) as client,  # noqa: S501
        ):
            await control.forget(self.name, scenario.id)
            if not any(request.hang_up_after is not None for request in scenario.client):
                await control.lockstep(self.name, scenario.id)

            async def on_frame(count: int) -> None:
                if count == 1:
                    await control.read(self.name, scenario.id, count)

            async def until_called() -> None:
                await control.wait_called(self.name, scenario.id, CALL_DEADLINE)

            exchanges = await play(
                client, scenario, keys=Credentials(self.key), on_frame=on_frame, until_called=until_called
            )
            cancelled = None
            if scenario.expect.provider.cancelled is not None:
                cancelled = await control.wait_cancelled(self.name, scenario.id, CANCEL_DEADLINE)
            state = await control.state(self.name, scenario.id)
        leaked = [
            sentence
            for call in state.calls
            for sentence in memories.leaks("the provider", call.headers, call.body)
        ]
        return Observation(
            scenario=scenario.id,
            target=self.name,
            tier=self.tier,
            exchanges=exchanges,
            upstream=[without_noise(call.upstream()) for call in state.calls if call.route != LITELLMS_OWN],
            memory=[without_noise(call.upstream()) for call in state.memory],
            held_back=state.held_back,
            cancelled=cancelled,
            faults=[*state.faults, *leaked, *_leaks(exchanges)],
        )


@dataclass(frozen=True)
class UrlTarget:
    """Plays scenarios on any OpenAI-compatible endpoint. `model` is asked for instead of the scenario's
    alias, unless it is empty. `player` is the official client that asks; None asks without one.

    `url` is with or without the `/v1` that clients' base URLs end in. An empty key is not sent.
    """

    name: str
    url: str
    key: str = field(repr=False)
    model: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    player: Player | None = None
    tier: Tier = "live"

    @property
    def base(self) -> str:
        return self.url.rstrip("/").removesuffix("/v1")

    async def observe(self, scenario: Scenario) -> Observation:
        asked = scenario.model_copy(
            update={
                "client": [
                    request.model_copy(update={"json_": renamed(request.json_, scenario.alias, self.model)})
                    for request in scenario.client
                ]
            }
        )
        keys = Credentials(self.key)
        if self.player is not None:
            exchanges = await play_with(self.player, self.base, asked, keys, dict(self.headers))
            return Observation(scenario=scenario.id, target=self.name, tier=self.tier, exchanges=exchanges)
        async with AsyncClient(
            base_url=self.base, headers=dict(self.headers), trust_env=False, timeout=120
        ) as client:
            exchanges = await play(client, asked, keys=keys)
        return Observation(scenario=scenario.id, target=self.name, tier=self.tier, exchanges=exchanges)


def host_of(url: str) -> str:
    """Return `host:port` of a URL, without what else may stand there, such as a password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _leaks(exchanges: Iterable[Exchange]) -> Iterator[str]:
    return memories.leaks("the client", *(exchange.model_dump(mode="json") for exchange in exchanges))


def renamed(value: Any, alias: str, model: str) -> Any:
    """Return a request's JSON that asks for `model` where it asked for `alias`; an empty name changes nothing."""
    if isinstance(value, dict):
        return {k: model if model and k == "model" and v == alias else v for k, v in value.items()}
    return value


def without_noise(call: UpstreamCall) -> UpstreamCall:
    """Return a request that a provider received, without HTTP clients' own additions and without secrets."""
    kept = {
        k: v for k, v in call.headers.items() if k not in HOP_HEADERS and not k.startswith("x-stainless-")
    }
    return _redacted(call.model_copy(update={"headers": dict(sorted(kept.items()))}))


def _redacted(call: UpstreamCall) -> UpstreamCall:
    return call.model_copy(update={"headers": redact_headers(call.headers), "body": redact_json(call.body)})

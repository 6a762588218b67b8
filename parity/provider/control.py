"""Holds the calls that a stub provider received, and the client that asks for them from any process.

GET    /_control                                 → Overview: the scenarios, and all calls in order
DELETE /_control                                 forget all calls
GET    /_control/{target}/{scenario}             → ProviderState
DELETE /_control/{target}/{scenario}             forget its calls; its replies start over
POST   /_control/{target}/{scenario}/lockstep    withhold the second half of its streams until read from
POST   /_control/{target}/{scenario}/read        {"frames": n}: so many frames were read so far
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
from httpx import (
    AsyncClient,
)  # bound here, so that a patch of httpx for the subjects leaves the harness alone
from pydantic import BaseModel, ConfigDict, Field

from parity.observation.model import UpstreamCall

CONTROL = "_control"
POLL = 0.01


class ProviderCall(BaseModel):
    """Holds one call that the provider received. Headers are complete, secrets included: redact before
    writing.
    """

    model_config = ConfigDict(extra="forbid")

    route: str = Field(description="method, path behind the scenario, query: `POST /v1/chat/completions`")
    headers: dict[str, str] = Field(repr=False, description="lower-case names, repeated ones joined")
    body: Any = Field(None, description="parsed JSON, else the text; None for no body")
    completed: bool = Field(False, description="the whole answer was sent, a fault played to its end")
    cancelled: bool = Field(False, description="the caller closed the connection before that")
    held_back: int = Field(0, description="1: nothing of the first half of the stream was read in time")

    def upstream(self) -> UpstreamCall:
        """Return the same call for an observation; headers and body still to be filtered and redacted."""
        model = self.body.get("model") if isinstance(self.body, dict) else None
        named = model if isinstance(model, str) else None
        return UpstreamCall(route=self.route, model=named, headers=self.headers, body=self.body)


class ProviderState(BaseModel):
    """Holds all that happened between one target and one scenario since it was last forgotten."""

    model_config = ConfigDict(extra="forbid")

    calls: list[ProviderCall] = Field(default_factory=list)
    memory: list[ProviderCall] = Field(
        default_factory=list, description="the requests that the memory store received"
    )
    held_back: int = Field(0, description="sum over the calls")
    faults: list[str] = Field(default_factory=list, description="what the stub could not play, in sentences")


class Received(BaseModel):
    """Holds one call, and which scenario of which target it was taken for."""

    model_config = ConfigDict(extra="forbid")

    target: str
    scenario: str
    call: ProviderCall


class Overview(BaseModel):
    """Holds the scenarios that are served, with the wire of each, and all calls in the order in which they came."""

    model_config = ConfigDict(extra="forbid")

    scenarios: dict[str, str] = Field(description="openai, anthropic, groq or together_ai, by scenario")
    received: list[Received] = Field(default_factory=list)


def base_url(url: str, target: str, scenario: str) -> str:
    """Return where `target` finds the provider of `scenario`; an OpenAI client's base adds `/v1`."""
    return f"{url}/{quote(target, safe='')}/{quote(scenario, safe='')}"


class ProviderControl:
    """Asks a running stub provider; an async context manager. Raises `httpx.HTTPError` for a failed request."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Over plain HTTP: reading certificates would only take time. Long: the clock runs on while whoever asks
        # imports LiteLLM, on a busy machine for more than 10 s.
        self._client = AsyncClient(trust_env=False, timeout=60, verify=False)  # noqa: S501

    async def __aenter__(self) -> ProviderControl:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def state(self, target: str, scenario: str) -> ProviderState:
        response = await self._ask("GET", target, scenario)
        return ProviderState.model_validate(response.json())

    async def forget(self, target: str, scenario: str) -> None:
        await self._ask("DELETE", target, scenario)

    async def forget_all(self) -> None:
        response = await self._client.delete(f"{self.url.rstrip('/')}/{CONTROL}")
        response.raise_for_status()

    async def lockstep(self, target: str, scenario: str) -> None:
        await self._ask("POST", target, scenario, "/lockstep")

    async def read(self, target: str, scenario: str, frames: int) -> None:
        await self._ask("POST", target, scenario, "/read", {"frames": frames})

    async def wait_called(self, target: str, scenario: str, deadline: float, calls: int = 1) -> bool:
        """Return whether the provider has received at least `calls` calls within `deadline` seconds."""
        return await self._wait(target, scenario, deadline, lambda s: len(s.calls) >= calls or None)

    async def wait_cancelled(self, target: str, scenario: str, deadline: float) -> bool:
        """Return whether a call was cancelled within `deadline` seconds; False at once when all are complete."""

        def cancelled(state: ProviderState) -> bool | None:
            if any(call.cancelled for call in state.calls):
                return True
            return False if state.calls and all(call.completed for call in state.calls) else None

        return await self._wait(target, scenario, deadline, cancelled)

    async def _wait(
        self, target: str, scenario: str, deadline: float, answer: Callable[[ProviderState], bool | None]
    ) -> bool:
        until = time.monotonic() + deadline
        while True:
            found = answer(await self.state(target, scenario))
            if found is not None or time.monotonic() >= until:
                return bool(found)
            await asyncio.sleep(POLL)

    async def _ask(
        self, method: str, target: str, scenario: str, verb: str = "", body: Any = None
    ) -> httpx.Response:
        url = base_url(f"{self.url}/{CONTROL}", target, scenario) + verb
        response = await self._client.request(method, url, json=body)
        if response.is_error:
            message = f"stub provider: {response.status_code} for {method} {url}: {response.text}"
            raise httpx.HTTPStatusError(message, request=response.request, response=response)
        return response

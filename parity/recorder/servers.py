"""Starts what recordings are made against: a real LiteLLM process, and behind it the stub provider.

started(scenarios) ─> Servers ─┬─> Recorder in this process
                               └─> Recorder in each worker, see `workers`
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from parity.catalogue.scenario import Scenario
from parity.provider.server import refused_url, serve_in_thread
from parity.targets.arms import Arm, litellm_process
from parity.targets.deployments import MOCKED_KEY, QUICK_RETRIES, config_document


@dataclass(frozen=True)
class Servers:
    """Where they listen. Plain data, which other processes can be handed."""

    provider_url: str
    refused_url: str
    litellm_url: str
    litellm_key: str

    def config(self, scenarios: Iterable[Scenario], arm: Arm) -> dict[str, Any]:
        """Return the config document of an arm whose models are these scenarios' providers."""
        return _config(scenarios, arm, self.provider_url, self.refused_url)


@contextlib.asynccontextmanager
async def started(scenarios: Iterable[Scenario], *, process: bool = True) -> AsyncIterator[Servers]:
    """Start them for these scenarios, and stop them at the end; enter `quick_retries` before.

    Without `process` there is no LiteLLM process, and its address is nobody's. Raises `LiteLLMProcessError`.
    """
    served = list(scenarios)
    async with contextlib.AsyncExitStack() as closing:
        provider = closing.enter_context(serve_in_thread(map(patient, served)))
        refused = closing.enter_context(refused_url())
        if not process:
            yield Servers(provider.url, refused, refused, MOCKED_KEY)
            return
        litellm = litellm_process(_config(served, "binary", provider.url, refused))
        await closing.enter_async_context(litellm)
        yield Servers(provider.url, refused, litellm.url, litellm.key)


def quick_retries() -> contextlib.AbstractContextManager[Any]:
    """Make LiteLLM wait for little before it retries, in every process that is started or imports it inside."""
    return patch.dict(os.environ, QUICK_RETRIES)


def patient(scenario: Scenario) -> Scenario:
    """Return the scenario with a client that stays to the end of a stream, so that the whole answer is seen.

    Where the provider would wait until its client hangs up, it doesn't wait.
    """
    if not any(request.hang_up_after for request in scenario.client):  # 0 is before anything is answered
        return scenario
    client = [
        request.model_copy(update={"hang_up_after": None}) if request.hang_up_after else request
        for request in scenario.client
    ]
    provider = [
        reply.model_copy(update={"sse": reply.sse and [event for event in reply.sse if event.delay is None]})
        for reply in scenario.provider
    ]
    return scenario.model_copy(update={"client": client, "provider": provider})


def _config(scenarios: Iterable[Scenario], arm: Arm, provider_url: str, refused: str) -> dict[str, Any]:
    return config_document(scenarios, arm, provider_url=provider_url, refused_url=refused)

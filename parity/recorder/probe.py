"""Probes LiteLLM itself with a scenario, without our proxies: the evidence behind a ledger entry.

The client's request goes straight to a real LiteLLM process and, as arguments, to LiteLLM's real
function for its route, both in front of the stub provider. Needs litellm and its proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from parity.catalogue.scenario import ClientRequest, Scenario
from parity.observation.model import UpstreamCall
from parity.recorder.recorder import Recorder, Tap, TappedProcess, TappedSdk
from parity.recorder.servers import Servers, quick_retries, started
from parity.recording.file import ProcessAnswer, SdkAnswer
from parity.recording.litellm_import import litellm
from parity.targets.arms import SDK_FUNCTIONS
from parity.targets.deployments import litellm_params

ANSWER_DEADLINE = 60.0
"""Seconds until a LiteLLM that has not answered is taken for one that doesn't; the other scenarios go on."""


@dataclass(frozen=True)
class Probed:
    """Holds both answers to one request, and the provider calls that each of them took."""

    process: ProcessAnswer | None
    sdk: SdkAnswer | None
    process_upstream: tuple[UpstreamCall, ...]
    sdk_upstream: tuple[UpstreamCall, ...]


async def probe(scenario: Scenario) -> list[Probed]:
    """Return a result for each request that LiteLLM is asked and whose answer the client waits for."""
    async with contextlib.aclosing(probe_each([scenario])) as probes:
        async for _, probed in probes:
            return probed
    return []


async def probe_each(
    scenarios: Sequence[Scenario], *, process: bool = True
) -> AsyncGenerator[tuple[Scenario, list[Probed]]]:
    """Probe one scenario after the other, on one LiteLLM process; addresses of this run are taken out.

    Without `process` only the functions are asked: some LiteLLMs' process doesn't start beside today's packages.
    """
    with quick_retries():
        async with started(scenarios, process=process) as servers, Recorder(servers) as recorder:
            for scenario in scenarios:
                yield (
                    scenario,
                    [
                        await _probe(recorder, servers, scenario, request, process=process)
                        for request in scenario.client
                        if _asks(request)
                    ],
                )


def _asks(request: ClientRequest) -> bool:
    """Say whether a request is one that LiteLLM answers: nobody sees the answer where the client leaves before it."""
    return _route(request) is not None and isinstance(request.json_, dict) and request.hang_up_after != 0


def _route(request: ClientRequest) -> str | None:
    path = request.path.partition("?")[0]
    return next((route for route in SDK_FUNCTIONS if path.endswith(f"/{route}")), None)


async def _probe(
    recorder: Recorder, servers: Servers, scenario: Scenario, request: ClientRequest, *, process: bool
) -> Probed:
    tap = Tap()
    body: dict[str, Any] = dict(request.json_ or {})
    route = _route(request) or ""
    await recorder.forget(scenario)
    if process:
        await _ask_process(tap, servers, route, body)
    params = litellm_params(scenario, "sdk", servers.provider_url, servers.refused_url)
    # As in the config of the process: what it counts doesn't depend on what a network has.
    litellm.use_chat_completions_url_for_anthropic_messages = True
    litellm.disable_hf_tokenizer_download = True
    call = TappedSdk(tap, scenario.alias, [params], route)
    with contextlib.suppress(Exception):  # the tap has noted what was raised
        async with asyncio.timeout(ANSWER_DEADLINE):
            value = await call(**{**body, **params, "num_retries": 0, "max_retries": 0})
            if hasattr(value, "__aiter__"):
                async for _ in value:
                    pass
    seen = recorder.placeless(tap.recording(scenario))
    return Probed(
        process=seen.process[0].answer if process else None,
        sdk=seen.sdk[0].answer,
        process_upstream=await recorder.provider_calls("binary", scenario),
        sdk_upstream=await recorder.provider_calls("sdk", scenario),
    )


async def _ask_process(tap: Tap, servers: Servers, route: str, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(transport=TappedProcess(tap), timeout=ANSWER_DEADLINE) as client:
        headers = {"authorization": f"Bearer {servers.litellm_key}"}
        url = f"{servers.litellm_url}/v1/{route}"
        try:
            async with client.stream("POST", url, json=body, headers=headers) as answer:
                await answer.aread()
        except httpx.ConnectError:  # nobody is there any more, which says nothing of what LiteLLM answers
            raise
        except httpx.TransportError:
            pass  # the tap has noted a broken stream, or that nothing came

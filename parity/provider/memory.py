"""Stands in for the memory store (Supermemory): its address, and its double in the mocked tier.

{provider}/{target}/{scenario}/memory/v4/profile      beside the scenario's provider, in both tiers
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.observation.model import UpstreamCall
from parity.support.json import read_json

MEMORY_KEY = "sm_stub-memory-key-0123456789"
"""The memory store's key: no secret, but it must never reach anyone else."""
FOLDER = "memory"

_PATH = re.compile(rf"/[^/]+/[^/]+/{FOLDER}(?P<route>/.*)")


def settings(scenario: Scenario, base: str) -> dict[str, Any]:
    """Return the alias's `model_info.context_retrieval`, empty unless the scenario has memories.

    `base` is the base URL of its provider, or an address where nobody listens.
    """
    deployment = scenario.deployment
    if deployment.memory is None:
        return {}
    return {"enabled": True, "base_url": f"{base}/{FOLDER}", "api_key": MEMORY_KEY, **deployment.memory}


def is_memory(request: httpx.Request) -> bool:
    """Return whether a request is for the memory store, and not for LiteLLM or a provider."""
    return _PATH.fullmatch(request.url.raw_path.decode()) is not None


def leaks(where: str, *values: Any) -> Iterator[str]:
    """Return a sentence for each value, JSON or text, that holds the memory store's key."""
    for value in values:
        if MEMORY_KEY in json.dumps(value, default=repr, ensure_ascii=False):
            yield f"the key of the memory store reached {where}"


class ReplayedMemory(httpx.AsyncBaseTransport):
    """Replays the memory store in process: replies in order, the last one repeats.

    Requests to other hosts and paths are handed to `elsewhere`.
    """

    def __init__(
        self,
        replies: Sequence[ProviderReply],
        elsewhere: httpx.AsyncBaseTransport,
        seen: list[UpstreamCall],
        faults: list[str],
    ) -> None:
        self._replies = replies
        self._elsewhere = elsewhere
        self._seen = seen
        self._faults = faults

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = _PATH.fullmatch(request.url.raw_path.decode())
        if path is None:
            return await self._elsewhere.handle_async_request(request)
        if request.url.host.startswith("refused."):
            raise httpx.ConnectError("All connection attempts failed", request=request)
        content = await request.aread()
        route = f"{request.method} {path['route']}"
        headers = dict(request.headers.items())
        self._seen.append(UpstreamCall(route=route, headers=headers, body=read_json(content)))
        if not self._replies:
            self._faults.append(unexpected(route))
            raise httpx.ConnectError("refused by the double: no memories were expected", request=request)
        reply = self._replies[min(len(self._seen), len(self._replies)) - 1]
        patience = request.extensions.get("timeout", {}).get("read")
        if reply.fault == "reset":
            raise httpx.ReadError("Connection reset by peer", request=request)
        if reply.fault == "hang" or (patience is not None and reply.delay >= patience):
            raise httpx.ReadTimeout("", request=request)
        if reply.json_ is not None:
            return httpx.Response(reply.status, headers=reply.headers, json=reply.json_)
        return httpx.Response(reply.status, headers=reply.headers, text=reply.text or "")

    async def aclose(self) -> None:
        await self._elsewhere.aclose()


def unexpected(route: str) -> str:
    return f"the memory store was asked {route}, and the scenario has no memories"

"""Has a provider count the tokens of a message, over a client of ours.

LiteLLM isn't asked: its process and its function each hand on messages, system prompt and tools alone, and where the
provider refuses they estimate, each in its own way, and say nothing of it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from proxies.answers import mended_error
from proxies.backend import Call, Reply
from proxies.config.models import Deployment
from proxies.support.jsonsteps import json_between
from proxies.upstream_errors import connection_error, read_object, upstream_error

ROUTE = "messages/count_tokens"

_ADDRESSES = ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL")
_TIMEOUT = 60.0
"""Seconds for a count where the deployment says nothing; it takes a fraction of one."""

Session = Callable[[str], Awaitable[httpx.AsyncClient]]
"""Gives the client of the user who asks, for an address."""


async def count_tokens(call: Call, group: tuple[Deployment, ...], session: Session) -> Reply:
    """The count of one of the model's deployments, which are Anthropic's; raises `ProxyError` for its failure."""
    params = random.choice(group).litellm_params  # noqa: S311  # any will do
    address = _address(params)
    client = await session(address)
    body = {**call.params, "model": str(params["model"]).removeprefix("anthropic/")}
    try:
        answer = await client.post(
            f"{address}/v1/{ROUTE}",
            content=await json_between(body),
            headers=_headers(params, call.headers),
            timeout=float(params.get("timeout") or params.get("request_timeout") or _TIMEOUT),
        )
    except httpx.HTTPError as error:
        raise connection_error(error) from None
    if not answer.is_success:
        said = mended_error(answer.content).decode("utf-8", "replace")
        raise upstream_error(answer.status_code, said, answered=True, headers=answer.headers)
    return Reply(read_object(answer.text), answer.headers)


def _address(params: Mapping[str, Any]) -> str:
    named = params.get("api_base") or params.get("base_url")
    named = named or next((os.environ[name] for name in _ADDRESSES if os.environ.get(name)), None)
    address = str(named or "https://api.anthropic.com").rstrip("/")
    return address.removesuffix("/v1/messages").removesuffix("/v1")


def _headers(params: Mapping[str, Any], travelling: Mapping[str, str]) -> dict[str, str]:
    """The client's that travel, the deployment's own, and the deployment's key."""
    headers = {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        **(params.get("extra_headers") or {}),
        **travelling,
    }
    if key := params.get("api_key") or os.environ.get("ANTHROPIC_API_KEY"):
        headers["x-api-key"] = str(key)
    return headers

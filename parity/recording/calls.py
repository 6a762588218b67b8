"""Describes every outgoing call in one form: an HTTP request to LiteLLM, or a call of its functions.

Both are brought down to what the client's request and the proxy's rules decide (route, model, parameters,
headers for the provider), so that they can be compared with each other and with a recording.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import SequenceMatcher
from typing import Any

import httpx

from parity.observation.model import UpstreamCall
from parity.support.json import read_json
from proxies.support.redact import redact_headers, redact_json

CARRIER_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
)
"""The headers of the hop from the binary proxy to LiteLLM; they say nothing about the call."""

CARRIER_ARGUMENTS = frozenset(
    [
        "model",
        "api_base",
        "api_key",
        "client",
        "timeout",
        "num_retries",
        "max_retries",
        "drop_params",
        "extra_headers",
        "custom_llm_provider",
        "shared_session",
        "caching",
        "cooldown_time",
    ]
)
"""The arguments of LiteLLM's functions for transport, which the LiteLLM process decides for itself."""


def from_http(request: httpx.Request) -> UpstreamCall:
    """Build a call from a request to the LiteLLM process, its body read.

    `extra_headers` in the body count as headers, and `extra_body` as parameters.

    Secrets are masked, here and in `from_arguments`: a call is printed, compared and recorded.
    """
    headers = {k: v for k, v in request.headers.items() if k not in CARRIER_HEADERS}
    body: Any = None
    model = None
    if request.content:
        try:
            body = read_json(request.content)
        except ValueError:
            body = request.content.decode("utf-8", "replace")
    if isinstance(body, dict):
        model = body.pop("model", None)
        headers |= body.pop("extra_headers", None) or {}
        body = _parameters(body)
    route = request.url.path.removeprefix("/v1").strip("/")
    return UpstreamCall(route=route, model=model, headers=_headers(headers), body=redact_json(body))


def from_arguments(
    route: str, alias: str, arguments: Mapping[str, Any], deployment: Mapping[str, Any]
) -> UpstreamCall:
    """Build a call from the arguments of LiteLLM's function for `route`, without those of the deployment."""
    # A copy: LiteLLM writes into the caller's `metadata` while it works.
    body = {
        k: deepcopy(v)
        for k, v in arguments.items()
        if k not in CARRIER_ARGUMENTS and not (k in deployment and deployment[k] == v)
    }
    body = _parameters(body)
    headers = _headers(arguments.get("extra_headers") or {})
    return UpstreamCall(route=route, model=alias, headers=headers, body=redact_json(body))


def _parameters(body: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call with those of `extra_body`, which LiteLLM copies over the others."""
    extra = body.get("extra_body")
    return (
        {**{k: v for k, v in body.items() if k != "extra_body"}, **extra} if isinstance(extra, dict) else body
    )


def deployment_of(
    arguments: Mapping[str, Any], deployments: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the `litellm_params` that a call was made with: the first that name its model, else the first of
    all.
    """
    return next((d for d in deployments if d["model"] == arguments.get("model")), deployments[0])


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    return redact_headers({k.lower(): str(headers[k]) for k in sorted(headers, key=str.lower)})


def canonical(call: UpstreamCall) -> str:
    """Return a text that is equal for equal calls."""
    return json.dumps(call.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, default=repr)


def nearest(call: UpstreamCall, recorded: list[UpstreamCall]) -> str:
    """Return a sentence on how `call` differs from the most similar recorded call."""
    if not recorded:
        return (
            "the recording holds no call at all: this request should have been answered without the backend"
        )
    ours = canonical(call)
    best = max(recorded, key=lambda other: SequenceMatcher(None, ours, canonical(other)).ratio())
    left, right = (c.model_dump(mode="json") for c in (call, best))
    differing = "; ".join(_differences("", right, left)) or "nothing"
    return f"the nearest recorded call differs in {differing}"


def _differences(path: str, recorded: Any, made: Any) -> list[str]:
    if isinstance(recorded, dict) and isinstance(made, dict):
        return [
            text
            for key in sorted(recorded.keys() | made.keys())
            for text in _differences(
                f"{path}.{key}" if path else key, recorded.get(key, _ABSENT), made.get(key, _ABSENT)
            )
        ]
    before, now = (_text(value) for value in (recorded, made))
    return [] if before == now else [f"{path}: recorded {before}, made {now}"]


_ABSENT = object()


def _text(value: Any) -> str:
    return (
        "nothing" if value is _ABSENT else json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)
    )

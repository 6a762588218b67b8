"""Asks an endpoint two questions before any scenario: its list of models, and one call to the model.

    GET  /v1/models              says whether a key is wanted, and which models there are
    POST /v1/chat/completions    or the first other route to a model that the scenarios use

An endpoint that refuses all alike would give observations that are equal to those of any other such endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import httpx

from parity.catalogue.scenario import Scenario
from parity.support.json import read_json
from parity.targets.client import Credentials
from parity.targets.target import UrlTarget, host_of
from proxies.support.redact import redact_text

MODELS = "/v1/models"
LONGEST_SENTENCE = 200
PATIENCE = 60.0
REFUSED = (401, 403)


class EndpointError(Exception):
    """Reports that an endpoint can't be observed as it is asked; the message says what would be right."""


@dataclass(frozen=True)
class Words:
    """Holds how the user says an endpoint's address, model and key, for messages."""

    url: str = "--target"
    model: str = "--model"
    key_option: str = "--api-key-env"
    key_variable: str = "PARITY_API_KEY"


@dataclass(frozen=True)
class _Route:
    path: str
    body: dict[str, Any]
    answer: str
    """The member that a success has."""
    name: str


_USER = [{"role": "user", "content": "Say hello."}]
ROUTES = (
    _Route("/v1/chat/completions", {"messages": _USER}, "choices", "chat completion"),
    _Route("/v1/messages", {"messages": _USER, "max_tokens": 64}, "content", "message"),
    _Route("/v1/responses", {"input": "Say hello."}, "output", "response"),
    _Route("/v1/embeddings", {"input": "hello"}, "data", "list of embeddings"),
)


async def ask_first(target: UrlTarget, scenarios: Iterable[Scenario], words: Words) -> None:
    """Ask for the models and for one answer. Raises `EndpointError` unless a model answers."""
    paths = {request.path.partition("?")[0] for scenario in scenarios for request in scenario.client}
    route = next((r for r in ROUTES if r.path in paths), None)
    headers = {**Credentials(target.key).headers("bearer"), **target.headers}
    asking = _Asking(target, words)
    try:
        opened = httpx.AsyncClient(base_url=target.base, headers=headers, trust_env=False, timeout=PATIENCE)
    except httpx.InvalidURL as error:
        raise EndpointError(f"{words.url} is no URL: {redact_text(str(error))}") from None
    async with opened as client:
        models = await asking.models(client, alone=route is None)
        if route is not None:
            await asking.model(client, route, models)


class _Asking:
    def __init__(self, target: UrlTarget, words: Words) -> None:
        self._target = target
        self._words = words
        self._host = host_of(target.url) or target.url

    async def models(self, client: httpx.AsyncClient, *, alone: bool) -> list[str]:
        """Return the models that the endpoint lists, none where it has no such list. `alone`: it must have one."""
        response = await self._send(client, client.build_request("GET", MODELS))
        self._check_key(response)
        body = _json(response)
        listed = body.get("data") if isinstance(body, dict) and response.is_success else None
        if alone and not isinstance(listed, list):
            raise EndpointError(
                f"{self._host} answers GET {MODELS} with {_said(response)}, which is no list of models: "
                f"{self._should_be()}"
            )
        entries = listed if isinstance(listed, list) else []
        return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]

    async def model(self, client: httpx.AsyncClient, route: _Route, models: list[str]) -> None:
        body = {"model": self._target.model, **route.body}
        headers = {"anthropic-version": "2023-06-01"} if route.path == "/v1/messages" else {}
        request = client.build_request("POST", route.path, json=body, headers=headers)
        response = await self._send(client, request)
        self._check_key(response)
        answer = _json(response)
        if response.is_success and isinstance(answer, dict) and isinstance(answer.get(route.answer), list):
            return
        said = _said(response)
        if isinstance(answer, dict) and response.status_code in (400, 404, 422) and self._is_unknown(models):
            near = get_close_matches(self._target.model, models, 3, 0.5) or models[:6]
            raise EndpointError(
                f"{self._host} doesn't serve the model {self._target.model!r} ({said}): give one of its own with "
                f"{self._words.model}, such as {', '.join(near)}"
            )
        if response.status_code in (404, 405, 501) or answer is None:
            raise EndpointError(f"{self._host} answers POST {route.path} with {said}: {self._should_be()}")
        if response.is_success:
            raise EndpointError(
                f"{self._host} answers POST {route.path} with {said}, which is no {route.name} "
                f"(it has no list `{route.answer}`): {self._should_be()}"
            )
        raise EndpointError(
            f"{self._host} answers a first request to the model {self._target.model!r} with {said}: check "
            f"{self._words.model}, and observe it once it answers"
        )

    def _is_unknown(self, models: list[str]) -> bool:
        return bool(models) and self._target.model not in models

    def _should_be(self) -> str:
        return (
            f"{self._words.url} must be the base URL that a client of OpenAI's API is given, and the model one of "
            "its own"
        )

    def _check_key(self, response: httpx.Response) -> None:
        if response.status_code not in REFUSED:
            return
        variable = self._words.key_variable
        if self._target.key:
            raise EndpointError(
                f"{self._host} refuses the key in {variable} ({_said(response)}): put one into it that is valid there"
            )
        raise EndpointError(
            f"{self._host} wants a key ({_said(response)}), and {variable} is empty: put the key into it, or name "
            f"another variable with {self._words.key_option}"
        )

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        try:
            return await client.send(request)
        except httpx.TimeoutException:
            raise EndpointError(
                f"{self._host} doesn't answer {request.method} {request.url.path} within {PATIENCE:g} s"
            ) from None
        except httpx.RequestError as error:
            why = redact_text(str(error) or type(error).__name__)
            raise EndpointError(f"{self._host} can't be reached: {why}") from None


def _json(response: httpx.Response) -> Any:
    """Return the body where it is JSON, whatever its content type says; else None."""
    try:
        return read_json(response.content)
    except ValueError:
        return None


def _said(response: httpx.Response) -> str:
    """Say status and error message, or what kind of body came."""
    body = _json(response)
    if body is None:
        kind = response.headers.get("content-type", "").partition(";")[0] or "no content type"
        return f"{response.status_code} and {kind}, no JSON"
    error = body.get("error", body) if isinstance(body, dict) else body
    message = error.get("message", error) if isinstance(error, dict) else error
    if response.is_success:
        return f"{response.status_code} and JSON"
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    text = redact_text(" ".join(text.split()))
    return f"{response.status_code}: {text[:LONGEST_SENTENCE]}"

"""Gives tests of both backends one upstream: the binary proxy's LiteLLM process, the sdk proxy's provider."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from proxies.backend import Backend
from proxies.config.models import ProxyConfig
from proxies.front.app import build_app
from proxies.sessions import LiteLLMSessionManager, ProxySessionManager
from tests.proxies.bodies import Body
from tests.proxies.front.fakes import KEY
from tests.upstream import Upstream

OPENAI, ANTHROPIC = "fast", "claude"
"""Models of the configuration, by the API of their provider."""


class BinaryArm:
    """The binary backend, and a LiteLLM process that a test makes say something."""

    name = "binary"

    def __init__(self) -> None:
        self.play = Upstream()
        self.config = ProxyConfig.model_validate(
            {"model_list": _models(), "general_settings": {"master_key": KEY}}
        )

    def backend(self) -> Backend:
        from proxies.binary.backend import BinaryBackend

        sessions = self.play.sessions(ProxySessionManager)
        return BinaryBackend(self.config, "http://litellm.test", "sk-process-key", sessions)

    def app(self) -> FastAPI:
        return build_app(self.config, self.backend())

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The provider's headers as this arm's upstream sends them, with some of its own."""
        passed = {f"llm_provider-{name}": value for name, value in headers.items()}
        return {**passed, "x-litellm-call-id": "c", "request-id": "made up"}

    def error(self, status: int, message: str, param: str | None) -> dict[str, Any]:
        said = f"litellm.APIError: APIError: OpenAIException - {message}"
        return {"error": {"message": said, "type": "t", "param": param, "code": str(status)}}

    def answers(self, body: Any, **headers: str) -> list[httpx.Request]:
        """A success with `body`, text as it is; keywords are the provider's headers, `_` for `-`."""
        sent = self.headers(_named(headers))
        given = {"text": body} if isinstance(body, str) else {"json": body}
        return self.play(lambda request: httpx.Response(200, headers=sent, **given))

    def refuses(
        self, status: int, message: str, param: str | None = None, **headers: str
    ) -> list[httpx.Request]:
        """The provider's error of OpenAI's form."""
        body, sent = self.error(status, message, param), self.headers(_named(headers))
        return self.play(lambda request: httpx.Response(status, json=body, headers=sent))

    def streams(self, *pieces: bytes | Exception, **headers: str) -> Body:
        """A stream of events in these pieces; returns its body, which knows whether it was closed."""
        body = Body(*pieces)
        sent = {**self.headers(_named(headers)), "content-type": "text/event-stream"}
        self.play(lambda request: httpx.Response(200, headers=sent, stream=body))
        return body

    def fails(self, error: Exception) -> list[httpx.Request]:
        """No answer at all."""

        def fail(request: httpx.Request) -> httpx.Response:
            raise error

        return self.play(fail)


class SdkArm(BinaryArm):
    """The sdk backend, and a provider that a test makes say something to the real LiteLLM."""

    name = "sdk"

    def backend(self) -> Backend:
        from proxies.sdk.backend import SdkBackend

        return SdkBackend(self.config, self.play.sessions(LiteLLMSessionManager))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return dict(headers)

    def error(self, status: int, message: str, param: str | None) -> dict[str, Any]:
        return {"error": {"message": message, "type": "t", "param": param, "code": None}}


def arm_named(name: str) -> BinaryArm:
    """The arm for a test; skips it where the arm needs LiteLLM, which isn't there."""
    if name == "binary":
        return BinaryArm()
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    pytest.importorskip("litellm", reason="the sdk proxy needs litellm: pip install 'proxy-parity[sdk]'")
    return SdkArm()


def events(*said: Any) -> bytes:
    """Server-sent events of these data; text as it is."""
    return b"".join(f"data: {s if isinstance(s, str) else json.dumps(s)}\n\n".encode() for s in said)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _models() -> list[dict[str, Any]]:
    openai = {"model": "openai/gpt-4o-mini", "api_key": "k", "api_base": "http://openai.test/v1"}
    anthropic = {
        "model": "anthropic/claude-sonnet-4-5",
        "api_key": "k",
        "api_base": "http://anthropic.test",
    }
    return [
        {"model_name": OPENAI, "litellm_params": openai},
        {"model_name": ANTHROPIC, "litellm_params": anthropic},
    ]

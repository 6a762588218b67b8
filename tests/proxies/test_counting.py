"""Tokens are counted by the provider, the same in both proxies, and its refusals are its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from proxies.backend import Call
from proxies.config.models import Deployment
from proxies.counting import count_tokens
from tests.proxies.arms import ANTHROPIC, OPENAI, BinaryArm, arm_named
from tests.proxies.front.fakes import KEY
from tests.upstream import Upstream

PATH = "/v1/messages/count_tokens?beta=true"
ASKED = {
    "messages": [{"role": "user", "content": "hi"}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tool_choice": {"type": "any"},
}


@pytest.fixture(params=["binary", "sdk"])
def arm(request: pytest.FixtureRequest) -> BinaryArm:
    return arm_named(request.param)


async def ask(arm: BinaryArm, body: Mapping[str, Any], **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(arm.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy.test") as client:
        return await client.post(PATH, json=body, headers={"x-api-key": KEY, **headers})


async def test_the_provider_counts(arm: BinaryArm) -> None:
    """All of the request goes up with the deployment's key and the client's betas, and its count comes down."""
    seen = arm.play(httpx.Response(200, json={"input_tokens": 42}, headers={"request-id": "r"}))
    answer = await ask(
        arm,
        {"model": ANTHROPIC, **ASKED, "drop_params": True},
        **{"anthropic-beta": "token-counting-2024-11-01"},
    )
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 42})
    [asked] = seen
    assert str(asked.url) == "http://anthropic.test/v1/messages/count_tokens"
    assert json.loads(asked.content) == {"model": "claude-sonnet-4-5", **ASKED}
    assert asked.headers["x-api-key"] == "k"
    assert asked.headers["anthropic-beta"] == "token-counting-2024-11-01"
    assert KEY not in str(asked.headers)


async def test_the_provider_refuses(arm: BinaryArm) -> None:
    """Its status and its sentence come down in Anthropic's envelope, and no estimate instead."""
    said = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
    arm.play(httpx.Response(429, json=said, headers={"retry-after": "7"}))
    answer = await ask(arm, {"model": ANTHROPIC, **ASKED})
    assert (answer.status_code, answer.json()) == (429, said)
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("body", [{"json": {"tokens": 1}}, {"text": "<html>"}], ids=["object", "page"])
async def test_no_count(arm: BinaryArm, body: dict[str, Any]) -> None:
    """A success that holds no number is a 502."""
    arm.play(httpx.Response(200, **body))
    assert (await ask(arm, {"model": ANTHROPIC, **ASKED})).status_code == 502


async def test_out_of_reach(arm: BinaryArm) -> None:
    """A connection that breaks is a 502, and silence a 504."""
    for error, status in ((httpx.ConnectError(""), 502), (httpx.ReadTimeout(""), 504)):
        arm.fails(error)
        assert (await ask(arm, {"model": ANTHROPIC, **ASKED})).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": OPENAI, **ASKED}, 404),
        ({"model": "nobody's", **ASKED}, 404),
        ({"model": ANTHROPIC, **ASKED, "stream": False}, 400),
        ({"model": ANTHROPIC}, 400),
        ({"model": ANTHROPIC, **ASKED, "api_base": "http://elsewhere.test"}, 400),
    ],
    ids=["other provider", "unknown model", "stream", "no messages", "steering"],
)
async def test_refused_by_us(arm: BinaryArm, body: dict[str, Any], status: int) -> None:
    """What can't be counted, and what the checks of every route refuse, reaches nobody."""
    seen = arm.play(httpx.Response(200, json={"input_tokens": 42}))
    answer = await ask(arm, body)
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert seen == []


@pytest.mark.parametrize(
    ("params", "environment", "url"),
    [
        ({}, {}, "https://api.anthropic.com/v1/messages/count_tokens"),
        ({}, {"ANTHROPIC_BASE_URL": "http://e.test/"}, "http://e.test/v1/messages/count_tokens"),
        ({"api_base": "http://a.test/v1"}, {}, "http://a.test/v1/messages/count_tokens"),
        ({"base_url": "http://a.test/x/v1/messages"}, {}, "http://a.test/x/v1/messages/count_tokens"),
    ],
)
async def test_where_it_asks(
    params: dict[str, str], environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address and the key are those that LiteLLM would take, written in any of its ways."""
    for name in ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"ANTHROPIC_API_KEY": "of-the-environment", **environment}.items():
        monkeypatch.setenv(name, value)
    upstream = Upstream(httpx.Response(200, json={"input_tokens": 1}))
    deployment = Deployment.model_validate(
        {"model_name": "m", "litellm_params": {"model": "claude-x", "extra_headers": {"x-a": "b"}, **params}}
    )
    async with httpx.AsyncClient(transport=upstream) as client:

        async def session(at: str) -> httpx.AsyncClient:
            return client

        await count_tokens(Call("messages/count_tokens", "m", ASKED), (deployment,), session)
    [asked] = upstream.requests
    assert (str(asked.url), asked.headers["x-api-key"]) == (url, "of-the-environment")
    assert asked.headers["x-a"] == "b"

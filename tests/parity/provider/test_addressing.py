"""Which scenario a request belongs to, however a gateway in between has written it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from parity.provider.addressing import ANY, Address, find
from parity.provider.server import StubProvider
from parity.provider.wire import Request
from tests.parity.provider.test_server import scenario

IDS = ("chat.plain", "errors.status[429]")


def asked(target: str = "/v1/chat/completions", *, json_: Any = None, **headers: str) -> Request:
    body = b"" if json_ is None else json.dumps(json_).encode()
    return Request("POST", target, {k.replace("_", "-"): v for k, v in headers.items()}, body)


@pytest.mark.parametrize(
    "request_",
    [
        asked("/chat.plain/v1/chat/completions"),
        asked(x_parity_scenario="chat.plain"),
        asked(json_={"model": "chat.plain"}),
        asked(json_={"model": "openai/chat.plain"}),
        asked(json_={"model": "@cf/openai/chat.plain"}),
        asked(authorization="Bearer chat.plain"),
        asked(authorization="Bearer sk-chat.plain", json_={"model": "gpt-4o"}),
        asked(authorization="Bearer gsk_chat.plain"),
        asked(x_api_key="sk-ant-chat.plain", json_=["no", "object"]),
        asked(api_key="chat.plain", json_={"model": 7}),
        asked("/v1beta/models/chat.plain:generateContent?alt=sse"),
        asked("/openai/deployments/chat.plain/chat/completions"),
    ],
)
def test_a_scenario_is_told_in_each_way(request_: Request) -> None:
    """By path, header, model or key; a prefix of a provider's is left aside."""
    found = find(request_, IDS)
    assert found is not None
    assert (found.target, found.scenario) == (ANY, "chat.plain")


def test_a_path_names_the_target_too() -> None:
    """The path decides before all else, percent-encoded as it may be; what is behind the scenario is the route."""
    request = asked("/binary/errors.status%5B429%5D/v1/x?a=b", json_={"model": "chat.plain"})
    assert find(request, IDS) == Address("binary", "errors.status[429]", "v1/x?a=b")
    assert find(asked("/chat.plain/v1/x"), IDS, target="mine") == Address("mine", "chat.plain", "v1/x")


def test_who_names_none_gets_the_default() -> None:
    """Without one there is no address."""
    assert find(asked(), IDS) is None
    assert find(asked(json_={"model": "gpt-4o"}), IDS, "chat.plain") == Address(
        ANY, "chat.plain", "v1/chat/completions"
    )


async def test_all_that_was_received_is_told_in_order_and_forgotten() -> None:
    """`GET /_control` lists calls of every scenario; DELETE there starts all replies over."""
    one = scenario({"json": {"n": 1}}, {"json": {"n": 2}}, id="a.one")
    two = scenario({"json": {"two": True}}, id="b.two")
    async with (
        StubProvider([one, two], target="gateway") as provider,
        httpx.AsyncClient(base_url=provider.url, trust_env=False) as client,
    ):
        for model in ("a.one", "b.two", "a.one"):
            await client.post("/v1/x", json={"model": model})
        overview = (await client.get("/_control")).json()
        assert overview["scenarios"] == {"a.one": "openai", "b.two": "openai"}
        assert [(r["target"], r["scenario"]) for r in overview["received"]] == [
            ("gateway", "a.one"),
            ("gateway", "b.two"),
            ("gateway", "a.one"),
        ]
        await client.delete("/_control/gateway/b.two")
        assert len((await client.get("/_control")).json()["received"]) == 2
        assert (await client.delete("/_control")).status_code == 204
        assert (await client.post("/v1/x", json={"model": "a.one"})).json() == {"n": 1}
        assert (await client.post("/_control")).status_code == 405


async def test_what_names_no_scenario_is_told_how_to() -> None:
    """In the envelope of its route; a list of models needs no scenario, and has them all."""
    async with (
        StubProvider([scenario({"json": {}}, id="a.one")]) as provider,
        httpx.AsyncClient(base_url=provider.url, trust_env=False) as client,
    ):
        chat, messages, models, theirs = await asyncio.gather(
            client.post("/v1/chat/completions", json={"model": "gpt-4o"}),
            client.post("/v1/messages", json={"model": "claude"}),
            client.get("/v1/models"),
            client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}),
        )
    assert (chat.status_code, messages.status_code) == (404, 404)
    assert "names no scenario: name one as the model" in chat.json()["error"]["message"]
    assert messages.json()["type"] == "error"
    assert [m["id"] for m in models.json()["data"]] == ["a.one"]
    assert (theirs.json()["first_id"], theirs.json()["has_more"]) == ("a.one", False)

"""The route of responses, with a fake backend behind it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from proxies.errors import UNREACHABLE, UNREADABLE, ProxyError
from proxies.front.app import build_app
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

ASKED = {"model": "fast", "input": "Hello."}
ANSWER = {"id": "resp_1", "object": "response", "model": "fast", "status": "completed", "output": []}


def event(name: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", **members}


CREATED = event("created", sequence_number=0, response={"id": "resp_1", "model": "gpt-x", "output": []})
DELTA = event("output_text.delta", delta="ä")
DONE = event("completed", response={"id": "resp_1", "model": "gpt-x", "output": []})


async def ask(backend: FakeBackend, body: Any = ASKED) -> httpx.Response:
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post("/v1/responses", json=body, headers={"authorization": f"Bearer {KEY}"})


async def stream(*chunks: Any) -> httpx.Response:
    return await ask(FakeBackend(chunks=list(chunks)), {**ASKED, "stream": True})


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    found = []
    for frame in response.text.removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_plain_response() -> None:
    """A checked request becomes one call on its own route, and the reply goes out as it is, nulls included."""
    backend = FakeBackend(reply={**ANSWER, "error": None}, headers={"x-request-id": "r"})
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]
    response = await ask(backend, {"model": "fast", "input": items, "store": False, "odd": 1})
    assert (response.status_code, response.json()) == (200, {**ANSWER, "error": None})
    assert response.headers["x-request-id"] == "r"
    [call] = backend.calls
    assert (call.route, call.params) == (
        "responses",
        {"input": items, "extra_body": {"store": False, "odd": 1}},
    )


async def test_a_stream_has_openais_names() -> None:
    """Each event carries its type as its name, the model is the one asked for and in the response alone; no [DONE]."""
    odd = event("something.new", model="fast", depth=3)
    found = events(await stream(CREATED, {**DELTA, "model": "fast"}, odd, DONE))
    named = {"id": "resp_1", "model": "fast", "output": []}
    assert found == [
        ("response.created", {**CREATED, "response": named}),
        ("response.output_text.delta", DELTA),
        ("response.something.new", event("something.new", depth=3)),
        ("response.completed", {**DONE, "response": named}),
    ]


@pytest.mark.parametrize("last", ["completed", "incomplete"])
async def test_nothing_follows_the_end(last: str) -> None:
    """What a backend still sends after the last event is not waited for."""
    response = await asyncio.wait_for(
        stream(CREATED, {**DONE, "type": f"response.{last}"}, asyncio.Event()), 5
    )
    assert [name for name, _ in events(response)] == ["response.created", f"response.{last}"]


def failed(code: str | None, message: str) -> dict[str, Any]:
    return event("failed", response={"error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("last", "type_", "code", "message"),
    [
        (failed("server_error", "Broken."), "api_error", "internal_error", "Broken."),
        (failed("rate_limit_exceeded", "Slow."), "rate_limit_error", "rate_limit_exceeded", "Slow."),
        (failed("insufficient_quota", "Paid up?"), "rate_limit_error", "insufficient_quota", "Paid up?"),
        (failed("invalid_prompt", "No."), "invalid_request_error", "invalid_prompt", "No."),
        (
            failed(None, "litellm.APIError: APIError: OpenAIException - Oh."),
            "api_error",
            "internal_error",
            "Oh.",
        ),
        (
            failed("server_error", "openai closed the responses stream before any terminal event (…)"),
            "api_error",
            "bad_gateway",
            UNREACHABLE,
        ),
        (
            {"type": "error", "error": {"code": "server_error", "message": "Oh."}},
            "api_error",
            "internal_error",
            "Oh.",
        ),
        (
            {"type": "error", "code": "rate_limit_exceeded", "message": "Slow."},
            "rate_limit_error",
            None,
            "Slow.",
        ),
        ({"type": "error", "error": "what"}, "api_error", "bad_gateway", UNREADABLE),
        ({"kind": "no event"}, "api_error", "bad_gateway", UNREADABLE),
        ({**CREATED, "sequence_number": 0}, "api_error", "bad_gateway", UNREACHABLE),
        (ProxyError(502, "Gone"), "api_error", "bad_gateway", "Gone"),
        (KeyError("a bug"), "api_error", "internal_error", "The proxy failed to handle the request."),
    ],
)
async def test_a_failure_in_the_middle_is_the_last_event(
    last: Any, type_: str, code: str | None, message: str
) -> None:
    """It is OpenAI's error event, with the envelope in it; a second response is a failure of the first."""
    found = events(await stream(CREATED, last, DELTA, DONE))
    assert [name for name, _ in found] == ["response.created", "error"]
    said = found[-1][1]
    assert (said["error"]["type"], said["error"]["message"]) == (type_, message)
    assert code is None or said["error"]["code"] == code
    assert said == {
        "type": "error",
        **{key: said["error"][key] for key in ("code", "message", "param")},
        "error": said["error"],
    }


async def test_an_end_before_the_end_is_a_failure() -> None:
    """A stream that just ends is never shown as a whole response."""
    found = events(await stream(CREATED, DELTA))
    assert found[-1][1]["error"]["message"] == UNREACHABLE


@pytest.mark.parametrize(
    ("chunks", "status"),
    [([failed("rate_limit_exceeded", "Slow.")], 429), ([], 502), ([{"kind": "no event"}], 502)],
)
async def test_a_failure_before_the_first_event_is_a_plain_one(chunks: list[Any], status: int) -> None:
    """It has its own status and the envelope."""
    response = await stream(*chunks)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["Hello."]}, "input[0]"),
        ({"tools": {}}, "tools"),
        ({"previous_response_id": 3}, "previous_response_id"),
        ({"tools": [{"type": "mcp", "server_url": "litellm_proxy/mcp/x"}]}, "tools[0].server_url"),
    ],
)
async def test_refusals(change: Any, param: str) -> None:
    """What is wrong is named before anybody is asked."""
    backend = FakeBackend(reply=ANSWER)
    response = await ask(backend, {**ASKED, **change})
    assert (response.status_code, response.json()["error"]["param"], backend.calls) == (400, param, [])


async def test_another_servers_tools_are_the_providers_business() -> None:
    """A tool that the provider is to fetch elsewhere passes."""
    backend = FakeBackend(reply=ANSWER)
    tools = [{"type": "mcp", "server_label": "x", "server_url": "https://mcp.example.com"}]
    assert (await ask(backend, {**ASKED, "tools": tools})).status_code == 200


@pytest.mark.parametrize("body", [{"status": "ok"}, {"object": "response"}, {"object": "list", "output": []}])
async def test_an_answer_that_is_no_response(body: Any) -> None:
    """It is the provider's failure."""
    response = await ask(FakeBackend(reply=body))
    assert (response.status_code, response.json()["error"]["message"]) == (502, UNREADABLE)

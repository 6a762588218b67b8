"""The route of Anthropic's dialect, with a fake backend behind it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from proxies.errors import TIMED_OUT, UNREACHABLE, UNREADABLE, ProxyError
from proxies.front.app import build_app
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config

AUTH = {"x-api-key": KEY}
ASKED = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
MESSAGE = {"id": "msg_1", "type": "message", "model": "fast", "content": [{"type": "text", "text": "zwölf"}]}
START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": []}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ä"}}
STOP = {"type": "message_stop"}


async def ask(backend: FakeBackend, body: Any = ASKED, **options: Any) -> httpx.Response:
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post("/v1/messages?beta=true", json=body, headers=AUTH, **options)


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    """Name and data of every event, each spelled exactly as Anthropic does."""
    found = []
    for frame in response.text.removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_plain_message() -> None:
    """A checked message becomes one call on its own route, and the reply goes out as it is."""
    backend = FakeBackend(reply=MESSAGE, headers={"request-id": "r", "set-cookie": "a=b"})
    response = await ask(backend, {**ASKED, "system": [{"type": "text", "text": "s"}], "top_k": 3})
    assert response.status_code == 200
    assert response.json() == MESSAGE
    assert response.headers["request-id"] == "r"
    assert "set-cookie" not in response.headers
    [call] = backend.calls
    assert (call.route, call.model) == ("messages", "fast")
    assert call.params == {
        "max_tokens": 9,
        "messages": ASKED["messages"],
        "system": [{"type": "text", "text": "s"}],
        "top_k": 3,
    }


async def test_a_stream_has_anthropics_names() -> None:
    """Every event carries its type as its name, the start names the model asked for, and no [DONE] follows."""
    backend = FakeBackend(chunks=[START, {"type": "ping"}, DELTA, STOP])
    response = await ask(backend, {**ASKED, "stream": True})
    start = {**START, "message": {"id": "msg_1", "model": "fast", "content": []}}
    assert events(response) == [
        ("message_start", start),
        ("ping", {"type": "ping"}),
        ("content_block_delta", DELTA),
        ("message_stop", STOP),
    ]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert backend.streams[0].closed == 1


async def test_nothing_follows_the_end() -> None:
    """What a backend still sends after message_stop is not waited for."""
    backend = FakeBackend(chunks=[START, STOP, asyncio.Event()])
    response = await asyncio.wait_for(ask(backend, {**ASKED, "stream": True}), 5)
    assert [name for name, _ in events(response)] == ["message_start", "message_stop"]


@pytest.mark.parametrize(
    ("last", "type_", "message"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
            "overloaded_error",
            "Busy",
        ),
        (
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow"}},
            "rate_limit_error",
            "Slow",
        ),
        (
            {
                "type": "error",
                "error": {
                    "type": "api_error",
                    "message": "litellm.APIConnectionError: APIConnectionError: OpenAIException - Broken",
                },
            },
            "api_error",
            "Broken",
        ),
        (
            {
                "type": "error",
                "error": {"type": "api_error", "message": "Timeout on reading data from socket"},
            },
            "timeout_error",
            TIMED_OUT,
        ),
        ({"type": "error", "error": "what"}, "api_error", UNREADABLE),
        ({"kind": "no event"}, "api_error", UNREADABLE),
        (ProxyError(502, "Gone"), "api_error", "Gone"),
        (KeyError("a bug"), "api_error", "The proxy failed to handle the request."),
    ],
)
async def test_a_failure_in_the_middle_is_the_last_event(last: Any, type_: str, message: str) -> None:
    """After the first event a failure is one error event in Anthropic's envelope, with the bare sentence."""
    response = await ask(FakeBackend(chunks=[START, last, DELTA, STOP]), {**ASKED, "stream": True})
    assert response.status_code == 200
    found = events(response)
    assert [name for name, _ in found] == ["message_start", "error"]
    assert found[-1][1] == {"type": "error", "error": {"type": type_, "message": message}}


async def test_an_end_without_message_stop_is_a_failure() -> None:
    """A stream that just ends is never shown as a whole message."""
    response = await ask(FakeBackend(chunks=[START, DELTA]), {**ASKED, "stream": True})
    assert events(response)[-1] == (
        "error",
        {"type": "error", "error": {"type": "api_error", "message": UNREACHABLE}},
    )


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}], 529),
        ([{"type": "error", "error": {"type": "request_too_large", "message": "Big"}}], 413),
        ([], 502),
    ],
)
async def test_a_failure_before_the_first_event_is_plain(chunks: list[Any], status: int) -> None:
    """An error event that comes first, or no event at all, is an HTTP error with a status of its own."""
    backend = FakeBackend(chunks=chunks)
    response = await ask(backend, {**ASKED, "stream": True})
    assert response.status_code == status
    assert response.json()["type"] == "error"
    assert backend.streams[0].closed == 1


async def test_an_answer_that_is_no_message() -> None:
    """A success with some other object is the provider's failure."""
    response = await ask(FakeBackend(reply={"hello": "world", "model": "fast"}))
    assert response.status_code == 502
    assert response.json() == {"type": "error", "error": {"type": "api_error", "message": UNREADABLE}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_tokens": None}, "The parameter 'max_tokens' must be a whole number."),
        ({"max_tokens": "9"}, "The parameter 'max_tokens' must be a whole number."),
        ({"messages": []}, "The parameter 'messages' must not be empty."),
        ({"messages": [{"role": "user"}]}, "The parameter 'messages[0].content' is missing."),
        (
            {"messages": [{"role": "user", "content": None}]},
            "The parameter 'messages[0].content' must be a string",
        ),
        ({"tool_choice": "auto"}, "The parameter 'tool_choice' must be an object."),
        ({"stop_sequences": "x"}, "The parameter 'stop_sequences' must be a list."),
        ({"api_base": "http://evil"}, "The parameter 'api_base' is not allowed: it would steer the proxy."),
    ],
)
async def test_checks(change: dict[str, Any], says: str) -> None:
    """A wrong body is refused in Anthropic's envelope, and the backend is left alone."""
    backend = FakeBackend(reply=MESSAGE)
    response = await ask(backend, {**ASKED, **change})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(says)
    assert backend.calls == []


async def test_max_tokens_is_required() -> None:
    """Unlike a chat completion, a message must say how long it may become."""
    response = await ask(FakeBackend(reply=MESSAGE), {k: v for k, v in ASKED.items() if k != "max_tokens"})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "The parameter 'max_tokens' is missing."


async def test_what_newer_clients_send_passes() -> None:
    """A parameter nobody here knows is the provider's business."""
    backend = FakeBackend(reply=MESSAGE)
    await ask(backend, {**ASKED, "thinking": {"type": "adaptive"}, "brand_new": {"a": 1}})
    assert backend.calls[0].params["brand_new"] == {"a": 1}
    assert backend.calls[0].params["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("stream", [False, True])
async def test_hanging_up_cancels(stream: bool) -> None:
    """A client that leaves before the answer takes the backend's call with it."""
    backend = FakeBackend(hang=True)
    app = build_app(make_config(), backend)
    body = json.dumps({**ASKED, "stream": stream}).encode()
    exchange = Exchange(app, "/v1/messages", body, AUTH)
    await asyncio.wait_for(backend.called.wait(), 5)
    exchange.disconnect()
    assert await exchange.end() == []
    assert backend.cancelled


async def test_the_first_event_is_not_held_back() -> None:
    """An event is out before the next one has come."""
    never = asyncio.Event()
    backend = FakeBackend(chunks=[START, never, STOP])
    exchange = Exchange(
        build_app(make_config(), backend),
        "/v1/messages",
        json.dumps({**ASKED, "stream": True}).encode(),
        AUTH,
    )
    assert (await exchange.message())["status"] == 200
    assert (await exchange.message())["body"].startswith(b"event: message_start\n")
    exchange.disconnect()
    await exchange.end()
    assert backend.streams[0].closed == 1

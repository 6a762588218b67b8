"""The shared application, with a fake backend behind it."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from proxies.errors import ProxyError, envelope, internal_error
from proxies.front.app import build_app
from proxies.front.routes import TABLE
from proxies.upstream_errors import upstream_error
from tests.proxies.front.fakes import CHOICES, KEY, FakeBackend, make_config

AUTH = {"authorization": f"Bearer {KEY}"}
ASKED = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}


async def ask(backend: FakeBackend, method: str, path: str, **options: Any) -> httpx.Response:
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
async def test_plain_completion(path: str) -> None:
    """A checked request becomes one call, its reply an answer under the name asked for; nulls and headers stay out."""
    backend = FakeBackend(
        reply={"id": "x", "text": "zwölf", "model": "other", "absent": None},
        headers={"x-request-id": "r1", "set-cookie": "a=b", "x-litellm-y": "z"},
    )
    response = await ask(backend, "POST", path, json={**ASKED, "temperature": 1, "odd": None}, headers=AUTH)
    assert response.status_code == 200
    assert response.json() == {"choices": CHOICES, "id": "x", "text": "zwölf", "model": "fast"}
    assert dict(response.headers) == {
        "content-type": "application/json",
        "content-length": str(len(response.content)),
        "x-request-id": "r1",
    }
    [call] = backend.calls
    assert (call.route, call.model, call.user_id) == ("chat/completions", "fast", "default-dev")
    assert call.params == {"messages": ASKED["messages"], "extra_body": {"temperature": 1}, "odd": None}


async def test_headers_towards_the_provider() -> None:
    """Only the allow-list travels, and the user id only for models that go through Supermemory."""
    sent = {
        **AUTH,
        "Traceparent": "t",
        "anthropic-beta": "b",
        "openai-project": "p",
        "x-memory-user-id": "ann",
        "cookie": "c=d",
        "x-other": "no",
    }
    backend = FakeBackend(reply={})
    await ask(backend, "POST", "/v1/chat/completions", json=ASKED, headers=sent)
    await ask(backend, "POST", "/v1/chat/completions", json={**ASKED, "model": "remembered"}, headers=sent)
    plain = {"traceparent": "t", "anthropic-beta": "b", "openai-project": "p"}
    assert [dict(call.headers) for call in backend.calls] == [plain, {**plain, "x-sm-user-id": "ann"}]
    assert {call.user_id for call in backend.calls} == {"ann"}


async def test_stream() -> None:
    """Every chunk is one event under the name that was asked for, without nulls, and `[DONE]` the last."""
    backend = FakeBackend(
        chunks=[{"c": "ä", "model": "other"}, {"c": None, "d": [None]}],
        headers={"x-request-id": "r", "connection": "close"},
    )
    response = await ask(
        backend, "POST", "/v1/chat/completions", json={**ASKED, "stream": True}, headers=AUTH
    )
    first, second, *end = response.text.split("\n\n")
    assert (first, second) == (
        'data: {"c":"ä","model":"fast"}',
        'data: {"d":[null],"model":"fast"}',
    )
    assert end == ["data: [DONE]", ""]
    assert dict(response.headers) == {
        "x-request-id": "r",
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }
    assert [stream.closed for stream in backend.streams] == [1]


async def test_empty_stream() -> None:
    """A stream without a chunk is still closed properly."""
    response = await ask(
        FakeBackend(), "POST", "/v1/chat/completions", json={**ASKED, "stream": True}, headers=AUTH
    )
    assert (response.status_code, response.text) == (200, "data: [DONE]\n\n")


async def test_error_before_the_first_chunk() -> None:
    """Before anything went out an error is a plain HTTP error with its status and headers."""
    backend = FakeBackend(chunks=[ProxyError(429, "Slow.", headers={"retry-after": "3"}), {"late": 1}])
    response = await ask(
        backend, "POST", "/v1/chat/completions", json={**ASKED, "stream": True}, headers=AUTH
    )
    assert (response.status_code, response.headers["retry-after"]) == (429, "3")
    assert response.json()["error"]["message"] == "Slow."
    assert [stream.closed for stream in backend.streams] == [1]


@pytest.mark.parametrize("bug", [False, True])
async def test_error_after_the_first_chunk(bug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """After it an error is one event in the envelope, then the end; a bug says nothing about itself."""
    error = KeyError("inner") if bug else ProxyError(502, "Gone.")
    shown = internal_error() if bug else ProxyError(502, "Gone.")
    backend = FakeBackend(chunks=[{"c": 1}, error, {"c": 2}])
    with caplog.at_level(logging.ERROR, "proxies"):
        response = await ask(
            backend, "POST", "/v1/chat/completions", json={**ASKED, "stream": True}, headers=AUTH
        )
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert [json.loads(event) for event in events[:-1]] == [{"c": 1, "model": "fast"}, envelope(shown)]
    assert events[-1] == "[DONE]"
    assert [stream.closed for stream in backend.streams] == [1]
    assert ("inner" in caplog.text) is bug


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bug", [ValueError("inner"), KeyError("inner")])
async def test_backend_bug_is_not_the_clients_fault(
    bug: Exception, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a backend raises besides `ProxyError` is a generic 500, even a `ValueError`."""
    with caplog.at_level(logging.ERROR, "proxies"):
        response = await ask(
            FakeBackend(error=bug),
            "POST",
            "/v1/chat/completions",
            json={**ASKED, "stream": stream},
            headers=AUTH,
        )
    assert response.status_code == 500
    assert response.json() == envelope(internal_error())
    assert "Traceback" in caplog.text


async def test_backend_error_is_answered() -> None:
    """A backend's `ProxyError` leaves as it is."""
    backend = FakeBackend(error=ProxyError(529, "Busy."))
    response = await ask(backend, "POST", "/v1/chat/completions", json=ASKED, headers=AUTH)
    assert (response.status_code, response.json()["error"]["code"]) == (529, "overloaded")


async def test_unknown_model() -> None:
    """A name that isn't configured is a 404, without a call."""
    backend = FakeBackend()
    response = await ask(
        backend, "POST", "/v1/chat/completions", json={**ASKED, "model": "slow"}, headers=AUTH
    )
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert backend.calls == []


@pytest.mark.parametrize("stream", [False, True])
async def test_headers_of_a_failure_are_chosen_here(stream: bool) -> None:
    """Of the headers that the provider failed with the client gets those on the list; ours come before them."""
    error = upstream_error(
        429, "Slow.", answered=True, headers={"retry-after": "7", "request-id": "r", "set-cookie": "a=b"}
    )
    error.headers["retry-after"] = "9"
    backend = FakeBackend(error=error)
    response = await ask(
        backend, "POST", "/v1/chat/completions", json={**ASKED, "stream": stream}, headers=AUTH
    )
    headers = dict(response.headers)
    assert (headers["retry-after"], headers["request-id"]) == ("9", "r")
    assert "set-cookie" not in headers


async def test_a_stream_that_fails_at_once_keeps_its_headers() -> None:
    """What the provider's answer said before its first chunk failed reaches the client with the failure."""
    backend = FakeBackend(chunks=[ProxyError(502, "Gone.")], headers={"x-request-id": "r", "server": "nginx"})
    response = await ask(
        backend, "POST", "/v1/chat/completions", json={**ASKED, "stream": True}, headers=AUTH
    )
    assert (response.status_code, response.headers["x-request-id"]) == (502, "r")
    assert "server" not in response.headers


async def test_models() -> None:
    """Every name once, in order; the same bytes twice; each name on its own, slashes included."""
    first, second = [
        await ask(FakeBackend(), "GET", path, headers=AUTH) for path in ("/v1/models", "/models")
    ]
    assert first.content == second.content
    data = first.json()["data"]
    assert [model["id"] for model in data] == ["fast", "team/fast", "remembered"]
    one = await ask(FakeBackend(), "GET", "/v1/models/team/fast", headers=AUTH)
    assert one.json() == data[1]
    assert (await ask(FakeBackend(), "GET", "/v1/models/none", headers=AUTH)).status_code == 404


async def test_health_and_readiness() -> None:
    """Alive without a key and whatever the backend does; ready only when it is, else 503 with the reason."""
    sick = FakeBackend(not_ready=ProxyError(503, "Not yet."))
    assert (await ask(sick, "GET", "/health")).json() == {"status": "healthy"}
    response = await ask(sick, "GET", "/health/readiness")
    assert (response.status_code, response.json()["error"]["message"]) == (503, "Not yet.")
    assert (await ask(FakeBackend(), "GET", "/health/readiness")).status_code == 200


async def test_routing_info() -> None:
    """The routing is told flat, without a key."""
    response = await ask(FakeBackend(), "GET", "/memory-routing/info", headers={"x-memory-user-id": "ann"})
    assert response.json() == {
        "user_id": "ann",
        "matched_pattern": None,
        "custom_header_present": True,
        "is_default": False,
    }


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
async def test_key_is_asked_for(row: Any) -> None:
    """Every route but the open ones refuses a request without a key, before its body is looked at."""
    response = await ask(FakeBackend(), row.method, row.path.replace("{model:path}", "fast"), content=b"{")
    assert (response.status_code == 401) is not row.open


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/key/generate", "/health/", "/"])
async def test_nothing_else_is_served(path: str) -> None:
    """No documentation, no management routes, no redirects."""
    response = await ask(FakeBackend(), "GET", path, headers=AUTH)
    assert response.status_code == 404
    assert list(response.json()) == ["error"]


async def test_lifespan_starts_and_closes_the_backend() -> None:
    """The backend lives as long as the application."""
    backend = FakeBackend()
    async with LifespanManager(build_app(make_config(), backend)):
        assert backend.states == ["started"]
    assert backend.states == ["started", "closed"]


async def test_failed_start_still_closes() -> None:
    """A backend that fails to start is closed, and the failure is not hidden."""

    class Broken(FakeBackend):
        async def start(self) -> None:
            raise RuntimeError("no")

    backend = Broken()
    with pytest.raises(RuntimeError, match="no"):
        async with LifespanManager(build_app(make_config(), backend)):
            pass
    assert backend.states == ["closed"]


async def test_a_user_id_that_no_header_carries_is_refused() -> None:
    """It has to travel on in a header, so what isn't ASCII is told at once, naming the header."""
    headers = {**AUTH, "x-memory-user-id": "José".encode()}
    response = await ask(FakeBackend(reply={}), "POST", "/v1/chat/completions", json=ASKED, headers=headers)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "x-memory-user-id")


async def test_a_key_in_the_wrong_field_is_not_echoed() -> None:
    """Clients write errors into their logs."""
    for path in (f"/{KEY}", f"/v1/files/..{KEY}//", f"/health/{KEY}"):
        assert KEY not in (await ask(FakeBackend(), "GET", path, headers=AUTH)).text
    for body in ({**ASKED, "model": KEY}, {**ASKED, f"_{KEY}": 1}):
        response = await ask(FakeBackend(reply={}), "POST", "/v1/chat/completions", json=body, headers=AUTH)
        assert response.status_code in (400, 404)
        assert KEY not in response.text


async def test_a_number_that_json_cannot_write_is_null() -> None:
    """Whatever a provider sends, the client gets JSON."""
    backend = FakeBackend(reply={"id": "x", "logprob": float("-inf")})
    response = await ask(backend, "POST", "/v1/chat/completions", json=ASKED, headers=AUTH)
    assert response.json() == {"choices": CHOICES, "id": "x", "logprob": None, "model": "fast"}


async def test_a_name_of_megabytes_is_not_repeated() -> None:
    """What a client calls a model is told back short, and without seconds of work."""
    response = await ask(
        FakeBackend(), "POST", "/v1/chat/completions", json={**ASKED, "model": "x" * 900}, headers=AUTH
    )
    assert response.status_code == 404
    assert f"'{'x' * 512}…'" in response.json()["error"]["message"]

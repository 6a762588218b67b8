"""The binary architecture, with a LiteLLM process played by an httpx transport."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from proxies.backend import Call
from proxies.binary import backend as binary
from proxies.binary import create_app
from proxies.binary.supervisor import Outage
from proxies.config.models import ProxyConfig
from proxies.errors import TIMED_OUT, UNREACHABLE, UNREADABLE, ProxyError
from proxies.front.app import build_app
from proxies.sessions import ProxySessionManager
from tests.proxies.bodies import Body, read
from tests.proxies.front.fakes import KEY, make_config
from tests.upstream import Handler, Upstream

URL = "http://litellm.test/"
CALL = Call(
    "chat/completions",
    "fast",
    {"messages": [{"role": "user", "content": "hi"}], "stream": True},
    {"traceparent": "t", "x-sm-user-id": "ann"},
    "ann",
)


def backend(litellm: Upstream, config: ProxyConfig | None = None) -> binary.BinaryBackend:
    sessions = litellm.sessions(ProxySessionManager)
    return binary.BinaryBackend(config or make_config(), URL, "sk-process-key", sessions)


def refuse(status: int, message: str, **more: Any) -> Handler:
    headers = {"llm_provider-retry-after": "7", "llm_provider-set-cookie": "a=b", "x-litellm-call-id": "c"}
    body = {"error": {"message": message, "type": "t", "param": None, "code": str(status), **more}}
    return lambda request: httpx.Response(status, json=body, headers=headers)


async def test_request_to_the_process(litellm: Upstream) -> None:
    """One request: the process's key, `x-*` as headers, other forwarded ones as a parameter, the body as it is."""
    [seen] = [litellm(lambda request: httpx.Response(200, json={"id": "x", "model": "other"}))]
    reply = await backend(litellm).complete(CALL)
    [request] = seen
    assert str(request.url) == "http://litellm.test/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-process-key"
    assert request.headers["x-sm-user-id"] == "ann"
    assert "traceparent" not in request.headers
    assert json.loads(request.content) == {
        "model": "fast",
        **CALL.params,
        "extra_headers": {"traceparent": "t"},
    }
    assert reply.body == {"id": "x", "model": "other"}


async def test_no_extra_headers_when_there_are_none(litellm: Upstream) -> None:
    """A request without forwarded headers carries no such parameter."""
    seen = litellm(lambda request: httpx.Response(200, json={}))
    await backend(litellm).complete(Call("chat/completions", "fast", {"messages": []}))
    assert json.loads(seen[0].content) == {"model": "fast", "messages": []}


async def test_forwarded_headers_join_the_deployments_own(litellm: Upstream) -> None:
    """LiteLLM would take the forwarded ones instead; what differs within a group is LiteLLM's to choose."""
    own = ({"x-a": "1", "x-b": "2"}, {"x-a": "1", "x-b": "3"})
    config = make_config(
        model_list=[
            {"model_name": "fast", "litellm_params": {"model": "openai/a", "extra_headers": headers}}
            for headers in own
        ]
    )
    seen = litellm(lambda request: httpx.Response(200, json={}))
    await backend(litellm, config).complete(CALL)
    assert json.loads(seen[0].content)["extra_headers"] == {"x-a": "1", "traceparent": "t"}


async def test_the_processs_own_401_is_not_the_clients(litellm: Upstream) -> None:
    """A key that the LiteLLM process refuses is the proxy's trouble: 502, not 401."""
    litellm(refuse(401, "Authentication Error, Invalid proxy server token passed"))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).complete(CALL)
    assert caught.value.status == 502


@pytest.mark.parametrize("text", ["", "<html>", "[]"])
async def test_unreadable_answer(litellm: Upstream, text: str) -> None:
    """A 200 that holds no JSON object is a 502."""
    litellm(lambda request: httpx.Response(200, text=text))
    with pytest.raises(ProxyError, match=UNREADABLE) as caught:
        await backend(litellm).complete(CALL)
    assert caught.value.status == 502


@pytest.mark.parametrize("text", ["Bad Gateway", "<html>x</html>"])
async def test_error_without_json(litellm: Upstream, text: str) -> None:
    """A status with a body that is no JSON keeps its status and shows no HTML."""
    litellm(lambda request: httpx.Response(503, text=text))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).complete(CALL)
    assert caught.value.status == 503
    assert "<" not in caught.value.message


def streaming(*pieces: bytes | Exception) -> tuple[Handler, Body]:
    body = Body(*pieces)
    headers = {"content-type": "text/event-stream", "llm_provider-x-request-id": "r"}
    return lambda request: httpx.Response(200, headers=headers, stream=body), body


async def test_stream_refused(litellm: Upstream) -> None:
    """A stream that never starts is an error with the provider's status."""
    litellm(refuse(529, "litellm.APIError: APIError: OpenAIException - Overloaded"))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).stream(CALL)
    assert (caught.value.status, caught.value.message) == (529, "Overloaded")


@pytest.mark.parametrize(
    ("pieces", "status", "message"),
    [
        ([], 502, UNREACHABLE),
        ([b"data: [DON"], 502, UNREADABLE),
        ([b"data: {no}\n\n"], 502, UNREADABLE),
        ([httpx.RemoteProtocolError("cut")], 502, "The LiteLLM process could not be reached."),
        ([httpx.ReadTimeout("")], 504, TIMED_OUT),
        (
            [b'data: {"error": {"message": "litellm.X: OpenAIException - No.", "code": "500"}}\n\n'],
            500,
            "No.",
        ),
        ([b'data: {"error": {"message": "No.", "code": null}}\n\n'], 500, "No."),
    ],
)
async def test_stream_that_breaks(litellm: Upstream, pieces: list[Any], status: int, message: str) -> None:
    """Whatever ends a stream before its `[DONE]` is an error after the chunks that came."""
    handler, _ = streaming(b'data: {"a": 1}\n\n', *pieces)
    litellm(handler)
    stream = await backend(litellm).stream(CALL)
    chunks: list[Any] = []
    with pytest.raises(ProxyError) as caught:
        await read(stream, chunks)
    await stream.aclose()
    assert chunks == [{"a": 1}]
    assert (caught.value.status, caught.value.message) == (status, message)


async def test_done_without_a_last_newline(litellm: Upstream) -> None:
    """A stream whose very last newline is missing has still ended well."""
    handler, _ = streaming(b'data: {"a": 1}\n\ndata: [DONE]')
    litellm(handler)
    assert len([chunk async for chunk in await backend(litellm).stream(CALL)]) == 1


async def test_readiness(litellm: Upstream) -> None:
    """Ready while the process answers its health question, else 503."""
    seen = litellm(lambda request: httpx.Response(200, json="I'm alive!"))
    await backend(litellm).check_ready()
    assert seen[0].url.path == "/health/liveliness"
    litellm(lambda request: httpx.Response(500))
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).check_ready()
    assert caught.value.status == 503

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    litellm(fail)
    with pytest.raises(ProxyError) as caught:
        await backend(litellm).check_ready()
    assert caught.value.status == 503


class OwnProcess:
    """In place of the supervisor: up, and down when a test says so."""

    url = "http://own.test:1"
    key = "sk-own"
    outage: Outage | None = None

    def __init__(self, config: Any) -> None:
        self.states: list[str] = []

    async def start(self) -> None:
        self.states.append("started")

    async def stop(self) -> None:
        self.states.append("stopped")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> OwnProcess:
    process = OwnProcess(None)
    monkeypatch.setattr(binary, "Supervisor", lambda config: process)
    return process


async def test_own_process_is_started_and_stopped(own: OwnProcess) -> None:
    """Without a URL the application runs a LiteLLM process of its own, for as long as it lives itself."""
    async with LifespanManager(create_app(make_config())):
        assert own.states == ["started"]
    assert own.states == ["started", "stopped"]


async def test_while_the_process_is_down_requests_are_told_when_to_come_back(
    own: OwnProcess, litellm: Upstream
) -> None:
    """503 in the route's envelope with retry-after, nothing sent; readiness says why; then all is as before."""
    sent = litellm(lambda request: httpx.Response(200, json={"choices": []}))
    config = make_config()
    app = build_app(config, binary.BinaryBackend(config, sessions=litellm.sessions(ProxySessionManager)))
    own.outage = Outage("the LiteLLM process was ended by SIGKILL", ("Killed.",), 7)
    question = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
    async with (
        LifespanManager(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://proxy",
            headers={"authorization": f"Bearer {KEY}"},
        ) as client,
    ):
        openai_error = {
            "message": "The LiteLLM process is being restarted.",
            "type": "overloaded_error",
            "param": None,
            "code": "service_unavailable",
        }
        for path, body in [
            ("/v1/chat/completions", question),
            ("/v1/chat/completions", {**question, "stream": True}),
            ("/v1/embeddings", {"model": "fast", "input": "hi"}),
        ]:
            answer = await client.post(path, json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "7"), path
            assert answer.json() == {"error": openai_error}
        answer = await client.post("/v1/messages", json=question)
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded_error")
        ready = await client.get("/health/readiness")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "7")
        assert "ended by SIGKILL; its last lines:\n  Killed." in ready.json()["error"]["message"]
        assert (await client.get("/health")).status_code == 200
        assert sent == []
        own.outage = None
        assert (await client.get("/health/readiness")).status_code == 200
        assert (await client.post("/v1/chat/completions", json=question)).status_code != 503


async def test_sessions_follow_a_process_that_moves(own: OwnProcess, litellm: Upstream) -> None:
    """After a restart the same client, with the same cookies, calls the new address."""
    sent = litellm(
        lambda request: httpx.Response(200, json={"choices": []}, headers={"set-cookie": "cf=1; Path=/"})
    )
    backend = binary.BinaryBackend(make_config(), sessions=litellm.sessions(ProxySessionManager))
    await backend.start()
    await backend.complete(Call("chat/completions", "fast", {"messages": []}, user_id="ann"))
    own.url = "http://own.test:2"
    await backend.complete(Call("chat/completions", "fast", {"messages": []}, user_id="ann"))
    assert [str(request.url.port) for request in sent] == ["1", "2"]
    assert sent[1].headers["cookie"] == "cf=1"
    assert backend.sessions()["open"] == 1
    await backend.aclose()

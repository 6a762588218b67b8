"""The sdk architecture, with `litellm.acompletion` patched or its HTTP played by a transport."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx
import openai
import pytest

from proxies.backend import Call
from proxies.config.loading import ConfigError
from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError
from proxies.sessions import LiteLLMSessionManager
from tests.proxies.bodies import COMPLETION, MESSAGE, Body
from tests.proxies.front.fakes import KEY, make_config
from tests.upstream import Handler, Upstream

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
litellm = pytest.importorskip("litellm")
from proxies.sdk import backend as sdk  # noqa: E402
from proxies.sdk import create_app  # noqa: E402

OPENAI = {"model": "openai/gpt-4o-mini", "api_key": "k", "api_base": "http://openai.test/v1"}
ANTHROPIC = {
    "model": "anthropic/claude-3-5-sonnet-20241022",
    "api_key": "k",
    "api_base": "http://anthropic.test",
}
MESSAGES = [{"role": "user", "content": "hi"}]


def config(*params: dict[str, Any], **sections: Any) -> ProxyConfig:
    models = [{"model_name": "fast", "litellm_params": p} for p in params]
    general = {"master_key": KEY}
    return ProxyConfig.model_validate({"model_list": models, "general_settings": general, **sections})


def backend(config: ProxyConfig, provider: Upstream) -> sdk.SdkBackend:
    return sdk.SdkBackend(config, provider.sessions(LiteLLMSessionManager))


def call(**changes: Any) -> Call:
    given = {"params": {"messages": MESSAGES}, "headers": {}, "user_id": "ann", **changes}
    return Call("chat/completions", "fast", **given)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """`acompletion` patched: the arguments of its calls."""
    calls: list[dict[str, Any]] = []

    async def acompletion(**arguments: Any) -> Any:
        calls.append(arguments)
        return litellm.ModelResponse(**COMPLETION)

    monkeypatch.setattr(litellm, "acompletion", acompletion)
    return calls


async def test_arguments(asked: list[dict[str, Any]]) -> None:
    """The deployment's parameters, the client's, no retries, the headers, and a client of the user's own."""
    backend = sdk.SdkBackend(config({**OPENAI, "weight": 1, "temperature": 0}))
    await backend.complete(
        call(params={"messages": MESSAGES, "temperature": 1}, headers={"traceparent": "t"})
    )
    [arguments] = asked
    client = arguments.pop("client")
    assert isinstance(client, openai.AsyncOpenAI)
    assert arguments == {
        **OPENAI,
        "messages": MESSAGES,
        "temperature": 1,
        "timeout": 6000.0,
        "num_retries": 0,
        "max_retries": 0,
        "extra_headers": {"traceparent": "t"},
    }


@pytest.mark.parametrize(
    ("params", "sections", "seconds"),
    [
        ({"timeout": 3}, {"router_settings": {"timeout": 4}}, 3.0),
        ({"request_timeout": 3}, {}, 3.0),
        ({}, {"router_settings": {"timeout": 4}, "litellm_settings": {"request_timeout": 5}}, 5.0),
        ({}, {"router_settings": {"timeout": 4, "stream_timeout": 3}}, 4.0),
        ({}, {"litellm_settings": {"request_timeout": 5}}, 5.0),
    ],
)
async def test_timeout(asked: list[dict[str, Any]], params: Any, sections: Any, seconds: float) -> None:
    """The nearest timeout of the configuration wins."""
    await sdk.SdkBackend(config({**OPENAI, **params}, **sections)).complete(call())
    assert asked[0]["timeout"] == seconds


async def test_drop_params_goes_with_the_call(asked: list[dict[str, Any]]) -> None:
    """`drop_params` is passed per call, the client's before the configuration's; LiteLLM's global stays."""
    backend = sdk.SdkBackend(config(OPENAI, litellm_settings={"drop_params": True}))
    await backend.complete(call())
    await backend.complete(call(params={"messages": MESSAGES, "drop_params": False}))
    assert [arguments["drop_params"] for arguments in asked] == [True, False]
    assert litellm.drop_params is not True


async def test_group_is_shared_by_weight(asked: list[dict[str, Any]]) -> None:
    """Deployments of one name share the calls; with weights, those with weight nought get none."""
    both = [{**OPENAI, "model": f"openai/{name}"} for name in "ab"]
    for _ in range(64):
        await sdk.SdkBackend(config(*both)).complete(call())
    assert {arguments["model"] for arguments in asked} == {"openai/a", "openai/b"}
    asked.clear()
    weighted = [{**both[0], "weight": 0}, {**both[1], "weight": 1}]
    for _ in range(64):
        await sdk.SdkBackend(config(*weighted)).complete(call())
    assert {arguments["model"] for arguments in asked} == {"openai/b"}


@pytest.mark.parametrize(
    ("params", "answer", "path"),
    [(OPENAI, COMPLETION, "/v1/chat/completions"), (ANTHROPIC, MESSAGE, "/v1/messages")],
)
async def test_complete_through_litellm(provider: Upstream, params: Any, answer: Any, path: str) -> None:
    """One provider call; the provider's headers; cookies kept, a user's own."""
    seen = provider(
        lambda request: httpx.Response(200, json=answer, headers={"set-cookie": "cf=1", "x-request-id": "r"})
    )
    made = backend(config(params), provider)
    for user in ("ann", "ann", "bob"):
        reply = await made.complete(call(user_id=user, headers={"x-sm-user-id": user}))
    assert [request.url.path for request in seen] == [path] * 3
    assert [request.headers.get("cookie") for request in seen] == [None, "cf=1", None]
    assert [request.headers["x-sm-user-id"] for request in seen] == ["ann", "ann", "bob"]
    assert reply.body["choices"][0]["message"]["content"] == "Hello"
    assert reply.headers["x-request-id"] == "r"
    await made.aclose()


async def test_tool_call_keeps_null_content(provider: Upstream) -> None:
    """A message that only calls tools has `content: null`, as the LiteLLM process sends it."""
    tool = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [tool]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    provider(lambda request: httpx.Response(200, json={**COMPLETION, "choices": [choice]}))
    body = (await backend(config(OPENAI), provider).complete(call())).body
    said = body["choices"][0]["message"]
    assert (said["content"], said["role"], said["tool_calls"]) == (None, "assistant", [tool])


def sse(*chunks: Any) -> bytes:
    return b"".join(f"data: {c if isinstance(c, str) else json.dumps(c)}\n\n".encode() for c in chunks)


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def streaming(body: Body) -> Handler:
    headers = {"content-type": "text/event-stream", "x-request-id": "r"}
    return lambda request: httpx.Response(200, headers=headers, stream=body)


STREAMED = call(params={"messages": MESSAGES, "stream": True})


@pytest.mark.parametrize("params", [OPENAI, ANTHROPIC])
async def test_closing_half_way_closes_the_provider_call(provider: Upstream, params: Any) -> None:
    """A stream that is closed after its first chunk closes the provider's connection."""
    start = {"type": "message_start", "message": {**MESSAGE, "content": []}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}
    pieces = [sse(start), sse(block), sse(delta)] if params is ANTHROPIC else [sse(chunk({"content": "Hel"}))]
    body = Body(*pieces, *[sse(delta if params is ANTHROPIC else chunk({"content": "x"}))] * 5)
    provider(streaming(body))
    stream = await backend(config(params), provider).stream(STREAMED)
    async for _ in stream:
        break
    assert not body.closed
    await stream.aclose()
    assert body.closed


@pytest.mark.parametrize("params", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ConnectError("All connection attempts failed"), 502),
        (httpx.ReadError(""), 502),
        (httpx.RemoteProtocolError("Server disconnected"), 502),
        (httpx.ReadTimeout(""), 504),
    ],
)
async def test_provider_out_of_reach(
    provider: Upstream, monkeypatch: pytest.MonkeyPatch, params: Any, error: Exception, status: int
) -> None:
    """Broken connections are a 502 and silence a 504, after one try."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    seen = provider(fail)
    second_try = staticmethod(
        lambda *args, **options: httpx.MockTransport(lambda r: seen.append(r) or fail(r))
    )
    monkeypatch.setattr(AsyncHTTPHandler, "create_async_transport", second_try)
    monkeypatch.setattr(AsyncHTTPHandler, "_create_async_transport", second_try)
    with pytest.raises(ProxyError) as caught:
        await backend(config(params), provider).complete(call())
    assert caught.value.status == status
    assert len(seen) == 1


async def test_code_of_a_bad_request_survives(provider: Upstream) -> None:
    """The provider's code and parameter of a 400 reach the client."""
    error = {"error": {"message": "No.", "type": "invalid_request_error", "param": "n", "code": "bad_n"}}
    provider(lambda request: httpx.Response(400, json=error))
    with pytest.raises(ProxyError) as caught:
        await backend(config(OPENAI), provider).complete(call())
    assert (caught.value.code, caught.value.param) == ("bad_n", "n")


async def test_bug_stays_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't LiteLLM's error is not dressed up as the provider's."""

    async def acompletion(**arguments: Any) -> Any:
        raise ValueError("inner")

    monkeypatch.setattr(litellm, "acompletion", acompletion)
    with pytest.raises(ValueError, match="inner"):
        await sdk.SdkBackend(config(OPENAI)).complete(call())


WIZARD = [{"role": "wizard", "content": "My secret is tea."}]


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_litellm_refuses_itself(provider: Upstream, streamed: bool) -> None:
    """Nobody is asked, and the refusal is in our words."""
    seen = provider(lambda request: httpx.Response(500))
    asked = call(params={"messages": WIZARD, "stream": streamed})
    made = backend(config(ANTHROPIC), provider)
    with pytest.raises(ProxyError, match="A message has a role") as caught:
        await (made.stream(asked) if streamed else made.complete(asked))
    assert (caught.value.status, caught.value.param, seen) == (400, "messages", [])


async def test_a_value_error_of_litellms_is_a_refusal(provider: Upstream) -> None:
    """What LiteLLM raises without a status before it asks is no bug of ours."""
    seen = provider(lambda request: httpx.Response(500))
    params = {
        "messages": MESSAGES,
        "max_tokens": 9,
        "tools": [],
        "tool_choice": {"type": "My secret is tea."},
    }
    with pytest.raises(ProxyError, match="no tool choice") as caught:
        await backend(config(OPENAI), provider).complete(Call("messages", "fast", params))
    assert (caught.value.status, seen) == (400, [])


async def test_litellms_own_clients_are_guarded() -> None:
    """A provider that takes no client of ours is called by one that follows no redirect to another origin."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
    from litellm.llms.openai.common_utils import BaseOpenAILLM

    backend = sdk.SdkBackend(config(OPENAI))
    await backend.start()
    handler = AsyncHTTPHandler()
    other = BaseOpenAILLM._get_async_http_client()
    assert other is not None
    for client in (handler.client, other):
        assert len(client.event_hooks["response"]) >= 1
        await client.aclose()
    await backend.aclose()


async def test_readiness() -> None:
    """Ready once LiteLLM is loaded."""
    backend = sdk.SdkBackend(config(OPENAI))
    with pytest.raises(ProxyError) as caught:
        await backend.check_ready()
    assert caught.value.status == 503
    await backend.start()
    await backend.check_ready()


def test_refuses_what_it_cannot_honour() -> None:
    """A configuration that the SDK would have to ignore stops the application from being made."""
    with pytest.raises(ConfigError):
        create_app(config(OPENAI, router_settings={"routing_strategy": "least-busy"}))


def test_default_config_is_a_valid_sdk_config() -> None:
    """The fakes' configuration is one that this architecture honours."""
    create_app(make_config())

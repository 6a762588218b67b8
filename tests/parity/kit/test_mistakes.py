"""What a test does wrong with its mocks is said in its own output: each mistake, its sentence."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Mapping

import pytest

pytest_plugins = ["pytester"]

LITELLM = importlib.util.find_spec("litellm") is not None
if LITELLM:  # here, or each inner run would import it anew
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import parity.recording.sdk_objects  # noqa: F401

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
HEAD = """
from unittest.mock import AsyncMock, MagicMock, Mock, patch
import httpx
import pytest
from parity.kit import *

U = "/v1/chat/completions"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}

"""


Fail = Callable[[Mapping[str, str]], dict[str, str]]


@pytest.fixture
def fail(pytester: pytest.Pytester) -> Fail:
    """Runs tests, by name the code of each, all of which are to fail; gives what pytest says of each."""
    pytester.makeini(INI)

    def run(bodies: Mapping[str, str]) -> dict[str, str]:
        tests = [body.replace("def test_it(", f"def test_{name}(") for name, body in bodies.items()]
        pytester.makepyfile(HEAD + "\n".join(tests))
        options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov")
        reports = pytester.inline_run("--tb=short", *options).getreports("pytest_runtest_logreport")
        said = {
            r.nodeid.partition("::test_")[2]: r.longreprtext for r in reports if r.failed and r.when == "call"
        }
        assert set(said) == set(bodies), "not all of them failed"
        return said

    return run


BINARY = {
    "unused": (
        """
def test_it(test_client, mock_httpx_client):
    mock_httpx_client.answers("Never.")
""",
        "mock_httpx_client.answers('Never.') was never used: nothing was asked. Take the stub out, or make the "
        "request that it is for.",
    ),
    "unused_of_two": (
        """
def test_it(test_client, mock_httpx_client):
    mock_httpx_client.answers("One.")
    configure_mock_httpx_response(mock_httpx_client, status_code=503, path="/health/liveliness")
    test_client.post(U, json=CHAT)
""",
        "configure_mock_httpx_response(mock_httpx_client, status_code=503) was never used: asked was: POST "
        "/v1/chat/completions (model 'gpt-4o-mini', says 'hi').",
    ),
    "nearest": (
        """
def test_it(test_client, mock_httpx_smart_router):
    mock_httpx_smart_router.answers("Sunny.", when=When(model="gpt-4o-mini", says="weather"))
    mock_httpx_smart_router.answers("No.", when=When(model="gpt-4o", user_agent="Claude Code"))
    test_client.post(U, json=CHAT)
""",
        "No stub fits POST /v1/chat/completions (model 'gpt-4o-mini', says 'hi'). The nearest is "
        "mock_httpx_client.answers('Sunny.', when=When(model='gpt-4o-mini', says='weather')); it differs in says: "
        "the stub wants 'weather', the request has 'hi'.",
    ),
    "empty_body": (
        """
def test_it(test_client, mock_httpx_client):
    configure_mock_httpx_response(mock_httpx_client, content="")
    test_client.post(U, json=CHAT)
""",
        "with an empty body. Answer with MockHTTPResponse(200, mock_completion_response('Hello')). If the test is "
        "about such a body, say so with broken=True.",
    ),
    "no_json": (
        """
def test_it(test_client, mock_httpx_client):
    configure_mock_httpx_response(mock_httpx_client, content="<html>")
    test_client.post(U, json=CHAT)
""",
        "with a body that is no JSON: '<html>'. Answer with MockHTTPResponse(200, mock_completion_response('Hello')).",
    ),
    "no_completion": (
        """
def test_it(test_client, mock_httpx_client):
    configure_mock_httpx_response(mock_httpx_client, content={"response": "hi"})
    test_client.post(U, json=CHAT)
""",
        "with a body that is not a chat completion: it has no list 'choices'",
    ),
    "no_completion_by_hand": (
        """
def test_it(test_client):
    client = AsyncMock(request=AsyncMock(return_value=MockHTTPResponse(200, {"ok": True})))
    with patch("httpx.AsyncClient", return_value=client):
        test_client.post(U, json=CHAT)
""",
        "httpx.AsyncClient: request() answered POST /v1/chat/completions (model 'gpt-4o-mini', says 'hi') with a body "
        "that is not a chat completion",
    ),
    "no_message": (
        """
def test_it(test_client, mock_httpx_client):
    configure_mock_httpx_response(mock_httpx_client, content=mock_completion_response())
    test_client.post("/v1/messages", json={**CHAT, "model": "claude-sonnet-4-5", "max_tokens": 9})
""",
        "with a body that is not a message: it has no list 'content'",
    ),
    "whole_for_stream": (
        """
def test_it(test_client, mock_httpx_client):
    configure_mock_httpx_response(mock_httpx_client, content=mock_completion_response())
    test_client.post(U, json=STREAM)
""",
        "with a whole body, but the request wants a stream. Answer with "
        "MockHTTPResponse(chunks=mock_streaming_chunks_sequence('Hello')).",
    ),
    "stream_for_whole": (
        """
def test_it(test_client, mock_httpx_client):
    mock_httpx_client.request.return_value = MockHTTPResponse(chunks=mock_streaming_chunks_sequence())
    test_client.post(U, json=CHAT)
""",
        "with a stream, but the request doesn't say stream: true.",
    ),
    "magic_class": (
        """
def test_it(test_client):
    with patch("httpx.AsyncClient"):
        test_client.post(U, json=CHAT)
""",
        "httpx.AsyncClient gives a client whose request() returns a MagicMock instead of a coroutine. The proxy awaits "
        "request() of the client itself, without `async with`.",
    ),
    "no_response": (
        """
def test_it(test_client):
    with patch("httpx.AsyncClient", return_value=AsyncMock()):
        test_client.post(U, json=CHAT)
""",
        "with an AsyncMock, which has no status_code. Answer with MockHTTPResponse(200, "
        "mock_completion_response('Hello')).",
    ),
    "awaited_stream": (
        """
def test_it(test_client):
    with patch("httpx.AsyncClient", return_value=AsyncMock()):
        test_client.post(U, json=STREAM)
""",
        "httpx.AsyncClient gives a client whose stream() is a coroutine function, as every method of an AsyncMock is.",
    ),
    "no_iterator": (
        """
def test_it(test_client):
    answer = Mock(status_code=200, headers={"content-type": "text/event-stream"}, aiter_bytes=lambda: iter([b""]))
    client = MagicMock()
    client.stream.return_value.__aenter__.return_value = answer
    with patch("httpx.AsyncClient", return_value=client):
        test_client.post(U, json=STREAM)
""",
        "whose aiter_bytes() returns a list_iterator, which is no async iterator.",
    ),
    "plain_mock_session": (
        """
def test_it(test_client, mock_httpx_client):
    with patch("proxies.sessions.ProxySessionManager.get_session", Mock(return_value=mock_httpx_client)):
        test_client.post(U, json=CHAT)
""",
        "proxies.sessions.ProxySessionManager.get_session is patched with something that returns a MockAsyncClient "
        "instead of a coroutine, as a plain Mock does. Write "
        "patch('proxies.sessions.ProxySessionManager.get_session', AsyncMock(return_value=mock_httpx_client)).",
    ),
    "part_of_nothing": (
        """
def test_it(test_client, mock_httpx_client):
    mock_httpx_client.request.return_value.status_code = 500
""",
        "mock_httpx_client.request.return_value.status_code is set, but there is no return_value yet.",
    ),
    "nothing_mocked": (
        """
def test_it(test_client):
    test_client.post(U, json=CHAT)
""",
        "Nothing stands in for the LiteLLM process, so POST http://litellm.invalid/v1/chat/completions would go out to "
        "a network. Add the fixture mock_httpx_client to the test",
    ),
    "useless_patch": (
        """
def test_it(test_client):
    with patch("httpx.AsyncClient.post"):
        test_client.post(U, json=CHAT)
""",
        "httpx.AsyncClient.post is patched, but the proxy calls request() and stream(): "
        "patch httpx.AsyncClient itself.",
    ),
    "no_memories": (
        """
def test_it(make_proxy_client, mock_httpx_client):
    client = make_proxy_client(context_retrieval={"enabled": True, "api_key": "k"})
    client.post(U, json=CHAT)
""",
        "Nothing stands in for the memory store, so POST https://api.supermemory.ai/v4/profile would go out to a "
        "network. Add the fixture mock_supermemory_api to the test.",
    ),
    "memories_of_another": (
        """
def test_it(test_client, mock_httpx_client, mock_supermemory_api):
    mock_supermemory_api.remembers("Likes tea.", user_id="bob")
    assert test_client.post(U, json=CHAT).headers["x-memory"] == "miss"
""",
        "was never used: asked was: POST /v4/profile (body {'q': 'hi', 'containerTag': 'default-dev'}).",
    ),
    "unknown_endpoint": (
        """
def test_it(test_client, mock_httpx_client):
    test_client.post("/v1/embeddings", json={"model": "gpt-4o-mini", "input": "hi"})
""",
        "Say what is to be answered: mock_httpx_client.responds({…}, path='/v1/embeddings').",
    ),
    "unknown_status": (
        """
def test_it(mock_httpx_client):
    mock_httpx_client.refuses(418, "I'm a teapot.")
""",
        "no error with status 418 was recorded on /v1/chat/completions; there are: 400, 401,",
    ),
    "another_sentence": (
        """
def test_it(mock_httpx_client):
    mock_httpx_client.refuses(kind="context_length", message="Too long.")
""",
        "LiteLLM knows an error of the kind 'context_length' by the provider's sentence",
    ),
    "swallowed": (
        """
def test_it(test_client):
    try:
        test_client.post(U, json=CHAT)
    except Exception:
        pass
""",
        "Nothing stands in for the LiteLLM process",
    ),
    "another_client": (
        """
from parity.targets.arms import create_app
from parity.targets.deployments import LITELLM_URL
from parity.kit.defaults import default_config
from starlette.testclient import TestClient

def test_it(mock_httpx_client, proxy_config):
    configure_mock_httpx_response(mock_httpx_client, content="")
    with TestClient(create_app("binary", proxy_config)) as client:
        key = {"authorization": "Bearer " + proxy_config["general_settings"]["master_key"]}
        assert client.post(U, json=CHAT, headers=key).status_code == 200
""",
        "with an empty body.",
    ),
}


def test_binary(fail: Fail) -> None:
    """A mistake in a test of the binary proxy fails it with its own sentence."""
    said = fail({name: body for name, (body, _) in BINARY.items()})
    for name, (_, sentence) in BINARY.items():
        assert sentence in said[name], name


SDK = {
    "plain_mock": (
        """
def test_it(sdk_client):
    with patch("litellm.acompletion", Mock(return_value=mock_model_response())):
        sdk_client.post(U, json=CHAT)
""",
        "litellm.acompletion is patched with something that returns a ModelResponse instead of a coroutine, as a plain "
        "Mock does. Write patch('litellm.acompletion', AsyncMock(return_value=mock_model_response('Hello'))).",
    ),
    "plain_mock_session": (
        """
def test_it(sdk_client, mock_litellm_completion, mock_litellm_session):
    with patch("proxies.sessions.LiteLLMSessionManager.get_session", Mock(return_value=mock_litellm_session)):
        sdk_client.post(U, json=CHAT)
""",
        "patch('proxies.sessions.LiteLLMSessionManager.get_session', AsyncMock(return_value=mock_litellm_session)).",
    ),
    "session_for_litellm": (
        """
def test_it(sdk_client):
    with patch("proxies.sessions.LiteLLMSessionManager.get_session", AsyncMock(return_value=AsyncMock())):
        sdk_client.post(U, json=CHAT)
""",
        "proxies.sessions.LiteLLMSessionManager.get_session gives an AsyncMock, through which LiteLLM can't call a "
        "provider. Use the fixture mock_litellm_session",
    ),
    "nothing_given": (
        """
def test_it(sdk_client):
    with patch("litellm.acompletion"):
        sdk_client.post(U, json=CHAT)
""",
        "where a litellm.ModelResponse is due. Return mock_model_response('Hello').",
    ),
    "dict": (
        """
def test_it(sdk_client):
    with patch("litellm.acompletion", AsyncMock(return_value=mock_completion_response())):
        sdk_client.post(U, json=CHAT)
""",
        "litellm.acompletion returned a dict for POST /v1/chat/completions",
    ),
    "generator": (
        """
def test_it(sdk_client):
    chunks = (chunk for chunk in mock_streaming_chunks_sequence())
    with patch("litellm.acompletion", AsyncMock(return_value=chunks)):
        sdk_client.post(U, json=STREAM)
""",
        "a stream must be an async iterator (`async def … yield`). Return mock_stream_wrapper('Hello').",
    ),
    "generator_function": (
        """
def test_it(sdk_client):
    async def chunks(**arguments):
        yield 1
    with patch("litellm.acompletion", chunks):
        sdk_client.post(U, json=STREAM)
""",
        "litellm.acompletion is patched with an async generator function, where a coroutine function is due.",
    ),
    "not_called": (
        """
def test_it(sdk_client):
    async def chunks():
        yield 1
    with patch("litellm.acompletion", AsyncMock(return_value=chunks)):
        sdk_client.post(U, json=STREAM)
""",
        "the async generator function itself. Call it: return_value=chunks().",
    ),
    "chunks_as_dicts": (
        """
def test_it(sdk_client):
    async def chunks():
        for chunk in mock_streaming_chunks_sequence():
            yield chunk
    with patch("litellm.acompletion", AsyncMock(return_value=chunks())):
        sdk_client.post(U, json=STREAM)
""",
        "its stream yields a dict, where litellm.ModelResponseStream is due.",
    ),
    "whole_for_stream": (
        """
def test_it(sdk_client, mock_litellm_completion):
    mock_litellm_completion.return_value = mock_model_response()
    sdk_client.post(U, json=STREAM)
""",
        "returned a ModelResponse for POST /v1/chat/completions (model 'openai/gpt-4o-mini', says 'hi'), but the "
        "request wants a stream.",
    ),
    "stream_for_whole": (
        """
def test_it(sdk_client, mock_litellm_completion):
    mock_litellm_completion.return_value = mock_stream_wrapper()
    sdk_client.post(U, json=CHAT)
""",
        "but the request doesn't say stream: true. Return mock_model_response('Hello'), or ask for a stream.",
    ),
    "no_message": (
        """
def test_it(sdk_client, mock_litellm_completion):
    mock_litellm_completion.acreate.return_value = mock_model_response()
    sdk_client.post("/v1/messages", json={**CHAT, "model": "claude-sonnet-4-5", "max_tokens": 9})
""",
        "where the dict of a message is due. Return mock_message_response('Hello').",
    ),
    "nothing_mocked": (
        """
def test_it(sdk_client):
    sdk_client.post(U, json=CHAT)
""",
        "Nothing stands in for the provider, so POST http://provider.invalid/v1/chat/completions would go out",
    ),
    "useless_patch": (
        """
def test_it(sdk_client):
    with patch("litellm.completion"):
        sdk_client.post(U, json=CHAT)
""",
        "litellm.completion is patched, but the proxy awaits litellm.acompletion: patch that.",
    ),
    "http_response": (
        """
def test_it(sdk_client, mock_litellm_completion):
    mock_litellm_completion.answers(lambda asked: MockHTTPResponse(200, mock_completion_response()))
    sdk_client.post(U, json=CHAT)
""",
        "gave an HTTP response, but litellm.acompletion returns objects.",
    ),
}


@pytest.mark.skipif(not LITELLM, reason="the sdk proxy needs litellm")
def test_sdk(fail: Fail) -> None:
    """A mistake in a test of the sdk proxy fails it with its own sentence."""
    said = fail({name: body for name, (body, _) in SDK.items()})
    for name, (_, sentence) in SDK.items():
        assert sentence in said[name], name


def test_whom_it_blames(fail: Fail) -> None:
    """Every unused stub is named, but not to a test that fails by itself; the call that meets a mistake raises it;
    errors of others get no advice."""
    said = fail(
        {
            "all": """
def test_it(mock_httpx_client):
    mock_httpx_client.answers("One.")
    mock_httpx_client.refuses(500)
""",
            "fails": """
def test_it(mock_httpx_client):
    mock_httpx_client.answers("One.")
    assert 1 == 2
""",
            "early": """
def test_it(test_client):
    test_client.post(U, json=CHAT)
    assert 1 == 2
""",
            "other": """
def test_it():
    import json
    json.lods("")
""",
        }
    )
    assert "mock_httpx_client.answers('One.') was never used" in said["all"]
    assert "mock_httpx_client.refuses(500) was never used" in said["all"]
    assert "assert 1 == 2" in said["fails"]
    assert "never used" not in said["fails"]
    assert "MockMistake: Nothing stands in for the LiteLLM process" in said["early"]
    assert "assert 1 == 2" not in said["early"]
    assert "Write patch" not in said["other"]


NAMES = {
    "proxies.sdk.acompletion": "patch('litellm.acompletion', AsyncMock(return_value=mock_model_response('Hello')))",
    "proxies.binary.httpx_client": "patch('httpx.AsyncClient', return_value=mock_httpx_client)",
    "proxies.sessions.SessionManager.get_session": "patch('proxies.sessions.ProxySessionManager.get_session', "
    "AsyncMock(return_value=mock_httpx_client)) or patch('proxies.sessions.LiteLLMSessionManager.get_session', ",
    "proxies.sessions.LiteLLMSessionManager.get_client": "patch('proxies.sessions.LiteLLMSessionManager.get_session',",
    "proxies.sessions.ProxySessionManager.session": "patch('proxies.sessions.ProxySessionManager.get_session',",
    "proxies.litellm_sdk.acompletion": "patch('litellm.acompletion',",
    "proxies.sdk.anthropic_messages": "patch('litellm.anthropic.messages.acreate',",
    "proxies.front.forward_request": "patch('httpx.AsyncClient', return_value=mock_httpx_client) or patch('litellm.",
}


def test_wrong_name(fail: Fail) -> None:
    """Whoever patches a name that isn't there, in either way, is told the one that is looked up."""
    patched = "def test_it():\n    with patch({!r}):\n        pass\n"
    set_by_pytest = "def test_it(monkeypatch):\n    monkeypatch.setattr({!r}, None)\n"
    said = fail(
        {
            f"{how}_{position}": body.format(name)
            for position, name in enumerate(NAMES)
            for how, body in (("patch", patched), ("monkeypatch", set_by_pytest))
        }
    )
    for text in said.values():
        assert "to patch: the proxies look other names up. Write" in text
    for position, (name, instead) in enumerate(NAMES.items()):
        assert instead in said[f"patch_{position}"], name
        assert instead in said[f"monkeypatch_{position}"], name

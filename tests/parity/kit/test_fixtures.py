"""The fixtures as people use them: with `patch`, without, over one proxy and over both."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import httpx
import pytest

from parity.kit import (
    KitTarget,
    MockAsyncClient,
    MockCompletion,
    MockHTTPResponse,
    MockSupermemoryAPI,
    ProxyClient,
    ToolCall,
    When,
    mock_completion_response,
    mock_litellm_exception,
    mock_model_response,
    mock_stream_wrapper,
    mock_streaming_chunks_sequence,
)

CHAT_URL = "/v1/chat/completions"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}
MESSAGE = {**CHAT, "model": "claude-sonnet-4-5", "max_tokens": 9}


def content(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


class TestHTTPClient:
    """`mock_httpx_client` and its namesakes."""

    def test_patched_in(
        self, test_client: ProxyClient, mock_chat_completions_response: MockAsyncClient
    ) -> None:
        """Patched in for `httpx.AsyncClient`, it answers, and tells how it was called."""
        with patch("httpx.AsyncClient", return_value=mock_chat_completions_response):
            response = test_client.post(CHAT_URL, json=CHAT, headers={"user-agent": "Claude Code/1.0"})
        assert content(response) == "Hello! How can I assist you today?"
        asked = mock_chat_completions_response.request.call_args.kwargs
        assert (asked["method"], asked["url"]) == ("POST", f"http://litellm.invalid{CHAT_URL}")
        assert asked["headers"]["x-sm-user-id"] == "claude-code"
        assert b'"content":"hi"' in asked["content"]

    def test_class_is_told(self, test_client: ProxyClient) -> None:
        """The mocked class is called once for a user, with a timeout; the client of the test never is."""
        client = MagicMock(
            request=AsyncMock(return_value=MockHTTPResponse(200, mock_completion_response("Hi")))
        )
        with patch("httpx.AsyncClient", return_value=client) as mocked:
            for _ in range(2):
                assert content(test_client.post(CHAT_URL, json=CHAT)) == "Hi"
        assert mocked.call_count == 1
        assert "timeout" in mocked.call_args.kwargs

    def test_not_patched_in(self, test_client: ProxyClient, mock_httpx_client: MockAsyncClient) -> None:
        """Without a patch the session manager hands it out; a model that isn't routed tells no user."""
        test_client.post(CHAT_URL, json={**CHAT, "model": "gpt-4o"}, headers={"x-memory-user-id": "ann"})
        call = mock_httpx_client.calls[0]
        assert (call.route, call.model, call.headers) == ("chat/completions", "gpt-4o", {})

    def test_forgotten_return_value(
        self, test_client: ProxyClient, mock_httpx_client: MockAsyncClient
    ) -> None:
        """`patch("httpx.AsyncClient", client)` works, too."""
        with patch("httpx.AsyncClient", mock_httpx_client):
            assert test_client.post(CHAT_URL, json=CHAT).status_code == 200
        assert mock_httpx_client.request.await_count == 1

    def test_one_patch_after_the_other(
        self, test_client: ProxyClient, mock_error_response_fixture: Callable[..., MockAsyncClient]
    ) -> None:
        """A later patch is not hidden by the client that a session manager keeps."""
        with patch(
            "httpx.AsyncClient", return_value=mock_error_response_fixture(429, "Slow.", retry_after="7")
        ):
            limited = test_client.post(CHAT_URL, json=CHAT)
        with patch("httpx.AsyncClient", return_value=mock_error_response_fixture(401, "Who?")):
            refused = test_client.post(CHAT_URL, json=CHAT)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
        assert (refused.status_code, refused.json()["error"]["message"]) == (401, "Who?")

    def test_patch_over_the_fixture(
        self, test_client: ProxyClient, mock_httpx_client: MockAsyncClient
    ) -> None:
        """What the test itself patches in goes before what the fixture hands out."""
        assert content(test_client.post(CHAT_URL, json=CHAT)) == "Hello! How can I assist you today?"
        by_hand = MagicMock(
            request=AsyncMock(return_value=MockHTTPResponse(200, mock_completion_response("Mine")))
        )
        with patch("httpx.AsyncClient", return_value=by_hand):
            assert content(test_client.post(CHAT_URL, json=CHAT)) == "Mine"
        assert mock_httpx_client.request.await_count == 1

    def test_streams(self, test_client: ProxyClient, mock_streaming_response: MockAsyncClient) -> None:
        """A request for a stream gets one, and `stream` tells how it was called."""
        mock_streaming_response.streams(["One", " two"])
        with patch("httpx.AsyncClient", return_value=mock_streaming_response):
            text = test_client.post(CHAT_URL, json=STREAM).text
        assert '"content":"One"' in text
        assert '"content":" two"' in text
        assert text.endswith("data: [DONE]\n\n")
        assert mock_streaming_response.stream.call_args.kwargs["method"] == "POST"

    def test_models(self, test_client: ProxyClient, mock_models_endpoint_response: MockAsyncClient) -> None:
        """Models are the configured ones; the client itself lists one."""
        with patch("httpx.AsyncClient", return_value=mock_models_endpoint_response):
            listed = test_client.get("/v1/models").json()
        assert [entry["id"] for entry in listed["data"]] == ["gpt-4o-mini", "claude-sonnet-4-5", "gpt-4o"]

    def test_health(
        self,
        test_client: ProxyClient,
        mock_health_endpoint_response: MockAsyncClient,
        configure_mock_httpx_response: Callable[..., None],
    ) -> None:
        """The process is alive, until a test says otherwise, for itself alone."""
        assert test_client.get("/health/readiness").status_code == 200
        configure_mock_httpx_response(
            mock_health_endpoint_response, status_code=503, path="/health/liveliness"
        )
        assert test_client.get("/health/readiness").status_code == 503
        assert test_client.post(CHAT_URL, json=CHAT).status_code == 200

    def test_configured(
        self,
        test_client: ProxyClient,
        mock_httpx_client: MockAsyncClient,
        configure_mock_httpx_response: Callable[..., None],
    ) -> None:
        """What is configured last holds, with its status, body and headers, however often it is asked for."""
        configure_mock_httpx_response(mock_httpx_client, content=mock_completion_response("First"))
        assert content(test_client.post(CHAT_URL, json=CHAT)) == "First"
        headers = {"llm_provider-x-request-id": "req_1"}
        configure_mock_httpx_response(
            mock_httpx_client, content=mock_completion_response("Then"), headers=headers
        )
        for _ in range(2):
            response = test_client.post(CHAT_URL, json=CHAT)
            assert content(response) == "Then"
            assert response.headers["x-request-id"] == "req_1"

    def test_meant_to_be_broken(
        self,
        test_client: ProxyClient,
        mock_httpx_client: MockAsyncClient,
        configure_mock_httpx_response: Callable[..., None],
    ) -> None:
        """An empty body that the test is about is no mistake."""
        configure_mock_httpx_response(mock_httpx_client, content="", broken=True)
        assert test_client.post(CHAT_URL, json=CHAT).status_code == 502

    def test_smart_router(self, test_client: ProxyClient, mock_httpx_smart_router: MockAsyncClient) -> None:
        """Several endpoints in one test: told apart by path, model, words, and the client's user agent."""
        router = mock_httpx_smart_router
        router.answers("Hello, Claude.", when=When(user_agent="claude code"))
        router.answers("It rains.", when=When(says="weather"))
        router.answers("Whatever.")
        router.responds({"object": "list", "data": []}, path="/v1/embeddings")
        weather = {**CHAT, "messages": [{"role": "user", "content": "How is the weather?"}]}
        assert content(test_client.post(CHAT_URL, json=weather)) == "It rains."
        assert content(test_client.post(CHAT_URL, json=CHAT)) == "Whatever."
        agent = {"user-agent": "Claude Code/2.1"}
        assert content(test_client.post(CHAT_URL, json=CHAT, headers=agent)) == "Hello, Claude."
        asked = {"model": "gpt-4o-mini", "input": "x"}
        assert test_client.post("/v1/embeddings", json=asked).json()["data"] == []

    async def test_directly(self, mock_httpx_smart_router: MockAsyncClient) -> None:
        """It is a client like httpx's: entered, asked by path, with an answer for each endpoint."""
        with patch("httpx.AsyncClient", return_value=mock_httpx_smart_router):
            async with httpx.AsyncClient() as client:
                chat = await client.post(CHAT_URL, json={**CHAT, "model": "mine"})
                routing = await client.get("/memory-routing/info", headers={"user-agent": "Claude Code/1"})
                health = await client.get("/health")
        assert chat.json()["model"] == "mine"
        assert routing.json()["user_id"] == "claude-code"
        assert health.json() == {"status": "healthy"}
        assert not mock_httpx_smart_router.is_closed

    def test_session_manager_by_hand(
        self, test_client: ProxyClient, mock_httpx_client: MockAsyncClient
    ) -> None:
        """`get_session` may be patched itself, with the client or with a bare mock."""
        by_hand = MagicMock(
            request=AsyncMock(return_value=MockHTTPResponse(200, mock_completion_response("Mine")))
        )
        with patch("proxies.sessions.ProxySessionManager.get_session") as get_session:
            get_session.return_value = by_hand
            assert content(test_client.post(CHAT_URL, json=CHAT)) == "Mine"
        get_session.assert_awaited_once_with("http://litellm.invalid", "default-dev")
        assert mock_httpx_client.calls == []


class TestLiteLLM:
    """What stands in for LiteLLM's functions, and for the session that LiteLLM uses."""

    def test_acompletion_patched(self, sdk_client: ProxyClient) -> None:
        """`patch("litellm.acompletion", AsyncMock(…))` is what the proxy calls."""
        response = mock_model_response("Hey", tool_calls=[ToolCall("look", {"at": "me"})])
        with patch("litellm.acompletion", AsyncMock(return_value=response)) as acompletion:
            body = sdk_client.post(CHAT_URL, json=CHAT).json()
        assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"
        assert acompletion.call_args.kwargs["model"] == "openai/gpt-4o-mini"

    def test_session_patched(self, sdk_client: ProxyClient) -> None:
        """So is a patched `get_session`, and LiteLLM is given what it gives, a bare mock too."""
        session = AsyncMock()
        with (
            patch("proxies.sessions.LiteLLMSessionManager.get_session", return_value=session) as get_session,
            patch("litellm.acompletion", AsyncMock(return_value=mock_model_response("Hey"))) as acompletion,
        ):
            assert content(sdk_client.post(CHAT_URL, json=CHAT)) == "Hey"
        get_session.assert_awaited_once()
        assert acompletion.call_args.kwargs["client"]._client is session

    @pytest.mark.parametrize("kind", ["generator", "iterator", "wrapper", "template"])
    def test_stream_patched(self, sdk_client: ProxyClient, kind: str) -> None:
        """A stream is any async iterator of chunks: a generator, an object, LiteLLM's own wrapper."""
        import litellm

        async def generator() -> Any:
            for chunk in mock_streaming_chunks_sequence("One two"):
                yield litellm.ModelResponseStream(**chunk)

        class Iterator:
            def __init__(self) -> None:
                self.chunks = generator()

            def __aiter__(self) -> Any:
                return self

            async def __anext__(self) -> Any:
                return await self.chunks.__anext__()

        def wrapper() -> Any:
            logging = MagicMock(model_call_details={"litellm_params": {}})
            logging.llm_caching_handler = None
            return litellm.CustomStreamWrapper(generator(), "gpt-4o-mini", logging, "openai")

        made = {
            "generator": generator,
            "iterator": Iterator,
            "wrapper": wrapper,
            "template": lambda: mock_stream_wrapper(["One", " two"]),
        }
        with patch("litellm.acompletion", AsyncMock(return_value=made[kind]())):
            text = sdk_client.post(CHAT_URL, json=STREAM).text
        assert '"content":" two"' in text
        assert text.endswith("data: [DONE]\n\n")

    def test_exception_patched(self, sdk_client: ProxyClient) -> None:
        """A genuine exception, as `side_effect`, is what the proxy sees."""
        error = mock_litellm_exception(429, "Slow.", retry_after="3")
        with patch("litellm.acompletion", AsyncMock(side_effect=error)):
            response = sdk_client.post(CHAT_URL, json=CHAT)
        assert (response.status_code, response.headers["retry-after"]) == (429, "3")

    def test_fixture(self, sdk_client: ProxyClient, mock_litellm_completion: MockCompletion) -> None:
        """The fixture answers by itself, as told, and as an AsyncMock does; its calls have LiteLLM's arguments."""
        assert content(sdk_client.post(CHAT_URL, json=CHAT)) == "Hello! How can I assist you today?"
        mock_litellm_completion.refuses(503, "Later.")
        assert sdk_client.post(CHAT_URL, json=CHAT).status_code == 503
        mock_litellm_completion.return_value = mock_model_response("Mine")
        assert content(sdk_client.post(CHAT_URL, json=CHAT)) == "Mine"
        assert mock_litellm_completion.await_count == 3
        assert mock_litellm_completion.call_args.kwargs["messages"] == CHAT["messages"]
        assert mock_litellm_completion.call_args.kwargs["extra_headers"] == {"x-sm-user-id": "default-dev"}

    def test_session(self, sdk_client: ProxyClient, mock_litellm_session: MockAsyncClient) -> None:
        """With the session alone mocked LiteLLM itself runs: both dialects, streams, errors, and cookies."""
        session = mock_litellm_session
        session.responds(mock_completion_response("Ho"), headers={"set-cookie": "cf=1; Path=/"})
        assert content(sdk_client.post(CHAT_URL, json=CHAT)) == "Ho"
        assert session.cookies["cf"] == "1"
        session.answers("Hu", when=When(path="/v1/messages"))
        assert sdk_client.post("/v1/messages", json=MESSAGE).json()["content"][0]["text"] == "Hu"
        session.streams(["One", " two"], when=When(body={"stream": True}))
        assert '"content":" two"' in sdk_client.post(CHAT_URL, json=STREAM).text
        session.refuses(429, "Slow.", retry_after="9", when=When(model="gpt-4o"))
        response = sdk_client.post(CHAT_URL, json={**CHAT, "model": "gpt-4o"})
        assert (response.status_code, response.headers["retry-after"]) == (429, "9")
        assert response.json()["error"]["message"] == "Slow."
        assert "cf=1" in session.send.call_args.args[0].headers["cookie"]

    def test_client_patched(self, sdk_client: ProxyClient, mock_httpx_client: MockAsyncClient) -> None:
        """`patch("httpx.AsyncClient", …)` works for this proxy, too, although libraries ask `isinstance`."""
        with patch("httpx.AsyncClient", return_value=mock_httpx_client):
            assert sdk_client.post(CHAT_URL, json=CHAT).status_code == 200
        assert mock_httpx_client.send.await_count == 1


class TestTarget:
    """`target`: one test, both proxies."""

    def test_answers_in_order(self, target: KitTarget) -> None:
        """What the test says comes back, one after the other, and what went up has one form."""
        target.answers("One.", usage={"prompt_tokens": 3})
        target.refuses(429, "Slow.", retry_after="9")
        first, second = (target.client.post(CHAT_URL, json=CHAT) for _ in range(2))
        assert content(first) == "One."
        assert first.json()["model"] == "gpt-4o-mini"
        assert first.json()["usage"]["total_tokens"] == 13
        assert (second.status_code, second.headers["retry-after"]) == (429, "9")
        assert second.json()["error"]["message"] == "Slow."
        assert [call.body for call in target.calls] == [{"messages": CHAT["messages"]}] * 2
        assert target.calls[0].headers == {"x-sm-user-id": "default-dev"}
        assert target.calls[0].model == "gpt-4o-mini"

    def test_stream(self, target: KitTarget) -> None:
        """A stream comes in the pieces that the test says; an error may end it."""
        target.streams(["One", " two"], breaks="Boom.")
        text = target.client.post(CHAT_URL, json=STREAM).text
        assert text.count('"content":') == 3  # with the first, which has the role
        assert '"message":"Boom."' in text

    def test_messages(self, target: KitTarget) -> None:
        """The same words work for Anthropic's route."""
        target.answers("Yes.", tool_calls=[ToolCall("look", {"at": "me"})])
        target.refuses(503, "Busy.")
        target.streams(["One", " two"], breaks="Boom.")
        said = target.client.post("/v1/messages", json=MESSAGE).json()
        assert [block["type"] for block in said["content"]] == ["text", "tool_use"]
        assert said["stop_reason"] == "tool_use"
        refused = target.client.post("/v1/messages", json=MESSAGE)
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "Busy.")
        text = target.client.post("/v1/messages", json={**MESSAGE, "stream": True}).text
        assert '" two"' in text
        assert "event: error" in text
        assert "Boom." in text

    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            ("context_length", 400, "context_length_exceeded"),
            ("content_policy", 400, "content_policy_violation"),
            ("insufficient_quota", 429, "insufficient_quota"),
            ("timeout", 504, "request_timeout"),
            ("unreachable", 502, "bad_gateway"),
        ],
    )
    def test_kinds(self, target: KitTarget, kind: Any, status: int, code: str) -> None:
        """An error may be named by its kind."""
        target.refuses(kind=kind)
        response = target.client.post(CHAT_URL, json=CHAT)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)

    def test_at_the_same_time(self, target: KitTarget) -> None:
        """Ten requests at once get an answer of their own each."""
        target.answers(lambda asked: f"You said {asked.says}.")

        def ask(number: int) -> str:
            messages = [{"role": "user", "content": f"number {number}"}]
            return str(content(target.client.post(CHAT_URL, json={**CHAT, "messages": messages})))

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(ask, range(10))) == [f"You said number {number}." for number in range(10)]

    def test_memories(self, target: KitTarget, mock_supermemory_api: MockSupermemoryAPI) -> None:
        """With the store mocked, memories are looked up: of each user, their own."""
        mock_supermemory_api.remembers(
            "Lives in Oslo.", recent=("Plans a trip.",), found=("Hates eggs.",), user_id="ann"
        )
        answers = {
            user: target.client.post(CHAT_URL, json=CHAT, headers={"x-memory-user-id": user}).headers[
                "x-memory"
            ]
            for user in ("ann", "bob")
        }
        assert answers == {"ann": "hit", "bob": "miss"}
        hers, his = (str(call.body["messages"]) for call in target.calls)
        assert all(fact in hers for fact in ("Lives in Oslo.", "Plans a trip.", "Hates eggs."))
        assert "Oslo" not in his
        assert mock_supermemory_api.calls[0].body == {"q": "hi", "containerTag": "ann"}

    def test_store_fails(self, target: KitTarget, mock_supermemory_api: MockSupermemoryAPI) -> None:
        """A store that fails is another one."""
        mock_supermemory_api.fails(500)
        assert target.client.post(CHAT_URL, json=CHAT).headers["x-memory"] == "error"


class TestConfig:
    """How a test gets another configuration."""

    @pytest.fixture
    def proxy_config(self, proxy_config: dict[str, Any]) -> dict[str, Any]:
        proxy_config["user_id_mappings"] = {"default_user_id": "nobody"}
        return proxy_config

    def test_overridden(self, target: KitTarget) -> None:
        """A `proxy_config` of one's own is what the clients are made with."""
        target.client.post(CHAT_URL, json=CHAT)
        assert target.calls[0].headers == {"x-sm-user-id": "nobody"}

    def test_factory(self, make_proxy_client: Any, mock_httpx_client: MockAsyncClient) -> None:
        """A client may be made with sections of its own; the key stays right."""
        client = make_proxy_client("binary", general_settings={"max_request_size_mb": 1})
        other = make_proxy_client("binary", general_settings={"master_key": "sk-another-key-0123456789"})
        large = {**CHAT, "messages": [{"role": "user", "content": "x" * 1_100_000}]}
        assert client.post(CHAT_URL, json=large).status_code == 413
        assert other.post(CHAT_URL, json=CHAT).status_code == 200
        assert mock_httpx_client.request.await_count == 1

    def test_without_key(self, binary_client: ProxyClient) -> None:
        """The key is a header like others, and may be another one."""
        assert binary_client.get("/v1/models", headers={"authorization": "Bearer no"}).status_code == 401
        assert binary_client.get("/v1/models").status_code == 200


def test_seams_are_put_back() -> None:
    """What the kit puts in place for a request, and for a test, is gone after it."""
    from proxies import sessions

    managers = (sessions.ProxySessionManager, sessions.LiteLLMSessionManager, sessions.MemorySessionManager)
    assert all("get_session" not in vars(manager) for manager in managers)
    assert httpx.AsyncClient.__module__ == "httpx"
    assert httpx.AsyncHTTPTransport.__module__ == "httpx"

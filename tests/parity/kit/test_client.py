"""The mocked HTTP client by itself, without a proxy."""

from __future__ import annotations

from unittest.mock import MagicMock

import httpx
import pytest

from parity.kit import (
    MockAsyncClient,
    MockHTTPResponse,
    MockMistake,
    ProxyClient,
    mock_streaming_chunks_sequence,
)
from parity.kit.mistakes import Notebook

CHAT = {"model": "mine", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def client() -> MockAsyncClient:
    """One whose mistakes fail no test."""
    return MockAsyncClient(Notebook())


async def test_is_a_client(client: MockAsyncClient) -> None:
    """Libraries that ask for an `httpx.AsyncClient` take it; closing and leaving it does nothing."""
    assert isinstance(client, httpx.AsyncClient)
    async with client as entered:
        assert entered is client
    await client.aclose()
    assert not client.is_closed
    assert (await client.get("/v1/models")).status_code == 200
    client.aclose.assert_awaited_once()


@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
async def test_every_method_is_a_request(client: MockAsyncClient, method: str) -> None:
    """`client.post(…)` and its kin show as a call of `request`, by name."""
    client.responds({"ok": True}, path="/v1/files")
    await getattr(client, method)("/v1/files", headers={"x-a": "b"})
    assert client.request.call_args.kwargs == {
        "method": method.upper(),
        "url": "/v1/files",
        "headers": {"x-a": "b"},
    }
    assert client.calls[0].route == "files"


async def test_assigned_values(client: MockAsyncClient) -> None:
    """An assigned `return_value` or `side_effect` goes before everything else."""
    client.request.return_value = MockHTTPResponse(418)
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 418
    client.request.side_effect = httpx.ConnectTimeout("too slow")
    with pytest.raises(httpx.ConnectTimeout):
        await client.post("/v1/chat/completions", json=CHAT)
    client.stream.return_value.__aenter__.return_value = MockHTTPResponse(chunks=[])
    async with client.stream("POST", "/v1/chat/completions") as response:
        assert await response.aread() == b"data: [DONE]\n\n"
    client.stream.return_value = MagicMock()
    assert client.stream("POST", "/") is client.stream.return_value


async def test_stream_without_a_body(client: MockAsyncClient) -> None:
    """Read as a stream and without a body that says otherwise, it streams."""
    async with client.stream("POST", "/v1/chat/completions") as response:
        lines = [line async for line in response.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    plain = await client.post("/v1/chat/completions")
    assert plain.json()["object"] == "chat.completion"


async def test_cookies(client: MockAsyncClient) -> None:
    """Cookies are kept and sent back, as a client does."""
    client.responds({}, headers={"set-cookie": "a=b; Path=/"}, path="/v1/files")
    await client.get("/v1/files")
    await client.get("/v1/files")
    assert client.cookies["a"] == "b"
    assert client.send.call_args.args[0].headers["cookie"] == "a=b"


async def test_health_is_what_a_proxy_says(
    client: MockAsyncClient, test_client: ProxyClient, mock_httpx_client: MockAsyncClient
) -> None:
    """What it answers for a proxy's own endpoints is what a proxy answers."""
    for path in ("/health", "/health/readiness"):
        assert (await client.get(path)).json() == test_client.get(path).json()
    assert (await client.get("/memory-routing/info")).json().keys() == {
        "user_id",
        "matched_pattern",
        "custom_header_present",
        "is_default",
    }


async def test_response_is_answered_anew() -> None:
    """One response serves any number of requests, a streamed one too."""
    client = MockAsyncClient(Notebook())
    client.stubs.add(
        "x", lambda asked: MockHTTPResponse(chunks=mock_streaming_chunks_sequence("a b")), None, None
    )
    texts = [
        (await client.post("/v1/chat/completions", json={**CHAT, "stream": True})).text for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[0].count("data: ") == 5
    response = MockHTTPResponse(201, [1], {"x-a": "b"})
    assert response.fresh() is not response
    assert (response.fresh().status_code, response.fresh().json(), response.headers["x-a"]) == (201, [1], "b")


async def test_nothing_for_it(client: MockAsyncClient) -> None:
    """An endpoint that it doesn't know is a mistake, raised where the request was made."""
    with pytest.raises(MockMistake, match=r"responds\(\{…\}, path='/v1/rerank'\)"):
        await client.post("/v1/rerank", json={"query": "x"})
    assert client.stubs.notebook.sentences

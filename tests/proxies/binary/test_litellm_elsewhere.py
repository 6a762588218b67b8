"""What holds in front of a LiteLLM that was started elsewhere, as `docs/security.md` has it in a table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from proxies.binary import create_app
from proxies.sessions import ProxySessionManager
from tests.proxies.front.fakes import KEY, make_config

LITELLM = "http://litellm.test"
HELLO = {"model": "fast", "messages": [{"role": "user", "content": "Hello?"}]}
Ask = Callable[..., Any]


class Elsewhere(httpx.AsyncBaseTransport):
    """A LiteLLM that a test makes say something; `asked` are its requests."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.says: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.says()


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    made = Elsewhere()
    monkeypatch.setattr(ProxySessionManager, "_pool", lambda *_: made)
    return made


async def asked(body: Any, path: str = "/v1/chat/completions", **limits: int) -> httpx.Response:
    config = make_config(limits=limits, general_settings={"master_key": KEY})
    app = create_app(config, litellm_url=LITELLM, litellm_key="sk-of-litellm")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/v1/chat/completions", {"api_base": "http://elsewhere.test"}),
        ("/v1/chat/completions", {"tools": [{"type": "advisor_20260301", "model": "openai/x"}]}),
        (
            "/v1/chat/completions",
            {"tools": [{"type": "mcp", "server_url": "https://x.test/mcp/tickets"}]},
        ),
        ("/v1/chat/completions?api_base=http://elsewhere.test", {}),
        ("/v1/chat/completions", {"model": "groq/any"}),
        ("/v1/containers", {}),
        ("/v1/chat/completions", {"messages": HELLO["messages"] * 4}),
    ],
)
async def test_what_is_refused_before(litellm: Elsewhere, path: str, more: dict[str, Any]) -> None:
    """What steers, models and routes that aren't configured, and sizes: nothing goes up."""
    answer = await asked({**HELLO, **more}, path, max_messages=3)
    assert answer.status_code in (400, 404)
    assert litellm.asked == []


@pytest.mark.parametrize("location", ["http://elsewhere.test/", "/v1/chat/completions"])
async def test_its_own_redirect(litellm: Elsewhere, location: str) -> None:
    """A 302 of that LiteLLM is a 502, to whatever place it leads; its key goes there no second time."""
    litellm.says = lambda: httpx.Response(302, headers={"location": location})
    answer = await asked(HELLO)
    assert answer.status_code == 502
    assert len(litellm.asked) == 1


async def test_an_error_that_quotes(litellm: Elsewhere) -> None:
    """What is known for LiteLLM's own words is said in ours."""
    message = "litellm.BadRequestError: Invalid Message passed in={'content': 'my secret plan'}"
    litellm.says = lambda: httpx.Response(400, json={"error": {"message": message, "code": "400"}})
    answer = await asked(HELLO)
    assert answer.status_code == 400
    assert "my secret plan" not in answer.text


async def test_a_large_answer(litellm: Elsewhere) -> None:
    """No more of it is read than the limit, and the client gets a 502."""
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        yield b'{"a": "'
        while True:
            read += 100_000
            yield b"x" * 100_000
            await asyncio.sleep(0)

    headers = {"content-type": "application/json"}
    litellm.says = lambda: httpx.Response(200, headers=headers, content=pieces())
    answer = await asked(HELLO, max_answer_bytes=1_000_000)
    assert answer.status_code == 502
    assert "larger than 1000000 bytes" in json.loads(answer.text)["error"]["message"]
    assert read < 2_000_000

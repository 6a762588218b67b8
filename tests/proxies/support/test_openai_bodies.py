"""The openai package sends lists as they are, and everything else as ever."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

openai = pytest.importorskip("openai")
from proxies.support.changed_once import CHANGED  # noqa: E402
from proxies.support.openai_bodies import send_as_given  # noqa: E402


class Provider:
    """What an `AsyncOpenAI` sends."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        transport = httpx.MockTransport(self._answer)
        self.client = openai.AsyncOpenAI(
            api_key="k",
            base_url="http://p/v1",
            http_client=httpx.AsyncClient(transport=transport),
            max_retries=0,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"object": "list", "data": [{"embedding": [0.5]}], "choices": []})


@pytest.fixture
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own functions, put back at the end of the test."""
    for resource in (openai.resources.chat.AsyncCompletions, openai.resources.AsyncEmbeddings):
        original = getattr(resource.create, "__wrapped__", resource.create)
        if hasattr(resource.create, CHANGED):
            monkeypatch.setattr(resource, "create", original)
        else:
            monkeypatch.setattr(resource, "create", resource.create)


MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "Hi"}], "own": {"a": [1]}}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.mark.usefixtures("unchanged")
async def test_the_provider_receives_the_same() -> None:
    """Bodies are those of the unchanged package, in the same order, raw or parsed; an `extra_body` still wins."""

    async def play() -> list[str]:
        provider = Provider()
        create = provider.client.chat.completions.create
        await create(model="m", messages=MESSAGES, tools=TOOLS, temperature=0.5)
        await create(model="m", messages=MESSAGES, extra_body={"messages": [], "x": 1})
        await provider.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
        await provider.client.embeddings.create(model="m", input=[[1, 2], [3]])
        await provider.client.embeddings.create(model="m", input="a", encoding_format="float")
        return [json.dumps(body) for body in provider.bodies]

    before = await play()
    send_as_given()
    send_as_given()
    assert await play() == before
    assert json.loads(before[0])["messages"] == MESSAGES


@pytest.mark.usefixtures("unchanged")
async def test_nothing_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes the package long doesn't grow with the messages."""
    from openai._utils import _transform

    looked = 0
    original = _transform._async_transform_recursive

    async def counting(*arguments: Any, **options: Any) -> Any:
        nonlocal looked
        looked += 1
        return await original(*arguments, **options)

    monkeypatch.setattr(_transform, "_async_transform_recursive", counting)
    await Provider().client.chat.completions.create(model="m", messages=MESSAGES * 100)
    assert looked > 100
    send_as_given()
    looked = 0
    await Provider().client.chat.completions.create(model="m", messages=MESSAGES * 100)
    assert looked < 20

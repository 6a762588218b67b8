"""The route of embeddings, with a fake backend behind it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from proxies.dialects.embeddings import is_embeddings
from proxies.errors import UNREADABLE
from proxies.front.app import build_app
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

ANSWER = {
    "object": "list",
    "model": "fast",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
}


async def ask(backend: FakeBackend, body: Any) -> httpx.Response:
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post("/v1/embeddings", json=body, headers={"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize("said", ["One.", ["One.", "Two.", ""], [1, 2], [[1], [2, 3]]])
async def test_inputs(said: Any) -> None:
    """A text, texts, tokens and lists of tokens make one call, with all that came beside them."""
    backend = FakeBackend(reply=ANSWER)
    response = await ask(backend, {"model": "fast", "input": said, "dimensions": 3, "odd": 1})
    assert (response.status_code, response.json()) == (200, ANSWER)
    assert "x-memory" not in response.headers
    [call] = backend.calls
    assert (call.route, call.model) == ("embeddings", "fast")
    assert call.params == {"input": said, "dimensions": 3, "odd": 1}


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"input": None}, "input", "The parameter 'input' must be a string or a list."),
        ({"input": ""}, "input", "The parameter 'input' must not be empty."),
        ({"input": []}, "input", "The parameter 'input' must not be empty."),
        ({"input": [[]]}, "input[0]", "The parameter 'input[0]' must not be empty."),
        ({"input": [True]}, "input[0]", None),
        ({"input": ["One.", 2]}, "input[1]", None),
        ({"dimensions": 2.5}, "dimensions", "The parameter 'dimensions' must be a whole number."),
        ({"stream": True}, "stream", "There are no streams on this route."),
    ],
)
async def test_refusals(change: Any, param: str, message: str | None) -> None:
    """What is wrong is named before anybody is asked."""
    backend = FakeBackend(reply=ANSWER)
    response = await ask(backend, {"model": "fast", "input": "One.", **change})
    error = response.json()["error"]
    assert (response.status_code, error["param"], backend.calls) == (400, param, [])
    assert message is None or error["message"] == message


@pytest.mark.parametrize("data", [None, "none", [1], [{"index": 0}], [{"embedding": None}]])
async def test_an_answer_without_embeddings(data: Any) -> None:
    """It is the provider's failure."""
    response = await ask(FakeBackend(reply={**ANSWER, "data": data}), {"model": "fast", "input": "One."})
    assert (response.status_code, response.json()["error"]["message"]) == (502, UNREADABLE)


def test_base64_is_an_embedding() -> None:
    """A text is an embedding, too, and a list of none is one."""
    assert is_embeddings({"data": [{"embedding": "AACAPg=="}]})
    assert is_embeddings({"data": []})

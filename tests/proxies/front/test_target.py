"""The ways in which clients write a path, and the model that Azure's put into it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from proxies.front.app import build_app
from proxies.front.target import DEPLOYMENT, Targets, origin_form
from tests.proxies.front.fakes import KEY, FakeBackend, make_config

AUTH = {"authorization": f"Bearer {KEY}"}
MESSAGES = [{"role": "user", "content": "hi"}]


async def seen(raw: str) -> dict[str, Any]:
    """The scope that the routes get for a target as it was written, its path decoded as a server does."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    async def nothing(*_: Any) -> Any: ...

    path = httpx.URL(f"http://x{raw}").path if raw.startswith("/") else raw
    await Targets(app)({"type": "http", "path": path, "raw_path": raw.encode()}, nothing, nothing)
    return found


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/files/a%20b", "/v1/files/a b"),
        ("/openai/deployments/fast/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/fast/embeddings", "/v1/embeddings"),
        ("http://127.0.0.1:8080/v1/models", "/v1/models"),
        ("HTTPS://[::1]:8080/openai/v1/models", "/v1/models"),
        ("http://proxy", "/"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/openai", "/openai"),
        ("/openai/v1", "/openai/v1"),
        ("/%6fpenai/v1/models", "/openai/v1/models"),
        ("/openai/deployments/fast/images/generations", "/openai/deployments/fast/images/generations"),
        ("http://user@proxy/v1/models", "http://user@proxy/v1/models"),
        ("ftp://proxy/v1/models", "ftp://proxy/v1/models"),
        ("*", "*"),
    ],
)
async def test_each_way_is_one_path(written: str, path: str) -> None:
    """Prefixes and origins of known kinds are taken off, decoded and raw alike; nothing else is touched."""
    scope = await seen(written)
    assert scope["path"] == path
    assert httpx.URL(f"http://x{scope['raw_path'].decode()}").path == path or not path.startswith("/")


@pytest.mark.parametrize("name", ["fast", "team/fast", "team%2Ffast", "a%5Bb%5D"])
async def test_azures_path_names_the_model(name: str) -> None:
    """Slashes and whatever is percent-encoded included."""
    scope = await seen(f"/openai/deployments/{name}/chat/completions")
    assert scope[DEPLOYMENT] == name.replace("%2F", "/").replace("%5B", "[").replace("%5D", "]")


async def test_what_is_no_request_passes() -> None:
    """The lifespan has no path."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    async def nothing(*_: Any) -> Any: ...

    await Targets(app)({"type": "lifespan"}, nothing, nothing)
    assert found == [{"type": "lifespan"}]


def test_origin_form() -> None:
    """Only what is in absolute form has an origin to be taken off."""
    assert origin_form(b"http://a/v1/x?y=http://b/") == b"/v1/x?y=http://b/"
    assert origin_form(b"/v1/http://a/") == b"/v1/http://a/"


async def post(path: str, body: dict[str, Any]) -> tuple[httpx.Response, FakeBackend]:
    backend = FakeBackend(reply={"id": "1"})
    app = build_app(make_config(), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.post(path, json=body, headers=AUTH), backend


@pytest.mark.parametrize("body", [{}, {"model": "team/fast"}])
async def test_the_paths_model_is_asked(body: dict[str, Any]) -> None:
    """The body may name it as well, or leave it out."""
    path = "/openai/deployments/team/fast/chat/completions?api-version=2024-10-21"
    response, backend = await post(path, {**body, "messages": MESSAGES})
    assert response.status_code == 200
    assert [call.model for call in backend.calls] == ["team/fast"]


async def test_two_models_are_refused() -> None:
    """Nobody has to guess which of them is meant."""
    path = "/openai/deployments/fast/chat/completions"
    response, backend = await post(path, {"model": "team/fast", "messages": MESSAGES})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
    assert backend.calls == []


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/files/", "/nowhere/"])
async def test_a_slash_too_many_is_told(path: str) -> None:
    """It is no route, and the answer says what to leave out."""
    response, _ = await post(path, {})
    assert response.status_code == 404
    assert (
        response.json()["error"]["message"]
        == f"There is no route POST {path}. Leave out the slash at its end."
    )

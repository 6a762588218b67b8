"""What stands behind either proxy in these tests: one transport that answers as OpenAI's API does.

The LiteLLM process answers the binary proxy in the same form as a provider answers LiteLLM in the sdk proxy, so one
set of answers serves both, and a test's body never says which of them it is about.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx

from parity.targets.arms import Arm, create_app
from parity.targets.deployments import LITELLM_URL
from parity.targets.doubles import LIVENESS, httpx_on
from parity.targets.target import client_of
from tests import samples, upstream

KEY = "sk-of-the-promises-0123456789abcdef"
LITELLM_KEY = "sk-of-the-litellm-process-0123456789"
MODEL = "promised"
Answer = Callable[[httpx.Request, Any], Awaitable[httpx.Response] | httpx.Response]


class Upstream(upstream.Upstream):
    """Keeps every request but those for its health. Without `answer(request, body)` it repeats the question."""

    def __init__(self, answer: Answer | None = None) -> None:
        said = answer or (lambda _, body: completion(body["messages"][-1]["content"]))
        super().__init__(lambda request: said(request, json.loads(request.content or b"null")))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == LIVENESS:
            return httpx.Response(200, json="I'm alive!")
        return await super().handle_async_request(request)


def completion(text: str, **headers: str) -> httpx.Response:
    """A whole chat completion whose only choice says `text`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, json=samples.completion(text), headers=named)


def chunk(text: str | None, finish: str | None = None) -> dict[str, Any]:
    """A chunk of a streamed completion."""
    return samples.chunk(finish, delta={} if text is None else {"role": "assistant", "content": text})


def config() -> dict[str, Any]:
    """One OpenAI deployment, named `MODEL`, and the master key `KEY`."""
    params = {"model": "openai/gpt-4o-mini", "api_base": f"{LITELLM_URL}/v1", "api_key": "of-the-provider"}
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": params}],
        "general_settings": {"master_key": KEY, "environment_routes": ["files", "vector_stores"]},
    }


@asynccontextmanager
async def proxy(
    arm: Arm, upstream: Upstream | None, document: dict[str, Any] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the arm's app, the key on all its requests, and nothing but `upstream` behind the app.

    Without an `upstream` httpx is left alone, and the addresses in the configuration lead nowhere.
    """
    if arm == "sdk":
        from parity.recording import litellm_import  # noqa: F401  # before httpx's classes are replaced
    with nullcontext() if upstream is None else httpx_on(upstream):
        async with client_of(create_app(arm, document or config(), litellm_key=LITELLM_KEY)) as client:
            client.headers["authorization"] = f"Bearer {KEY}"
            yield client


def question(text: str, **more: Any) -> dict[str, Any]:
    """The body of a chat completion request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


async def ask(client: httpx.AsyncClient, text: str, **headers: str) -> httpx.Response:
    """One question to the proxy; keywords are headers, `_` for `-`."""
    return await client.post(
        "/v1/chat/completions",
        json=question(text),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def said(response: httpx.Response) -> str:
    """The text of a completion. Fails with the whole answer when it is none."""
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])

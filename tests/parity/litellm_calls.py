"""Objects of a real litellm, made from a provider's bytes without a socket; import it only where litellm is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai

from parity.recording.litellm_import import litellm
from tests import samples

DEPLOYMENT = {"model": "openai/gpt-4o-mini", "api_base": "http://provider.invalid/v1", "api_key": "stub-key"}
MESSAGES = [{"role": "user", "content": "Hi"}]

_TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
COMPLETION = samples.completion(
    None,
    system_fingerprint="fp_1",
    usage={
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 1},
    },
    choices=[
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [_TOOL_CALL]},
        }
    ],
)


def chunk(finish_reason: str | None = None, **delta: Any) -> str:
    return f"data: {httpx.Response(200, json=samples.chunk(finish_reason, delta=delta)).text}\n\n"


CHUNKS = [
    chunk(role="assistant", content=""),
    chunk(content="Grü"),
    chunk(content="ße 🌍"),
    chunk(finish_reason="stop"),
    "data: [DONE]\n\n",
]


def events(*frames: str, **headers: str) -> httpx.Response:
    return httpx.Response(
        200, headers={"content-type": "text/event-stream", **headers}, content="".join(frames).encode()
    )


@contextlib.asynccontextmanager
async def provider(reply: httpx.Response | Exception) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for `acompletion(client=…)`, behind which a provider answers `reply` to every call."""

    def answer(_: httpx.Request) -> httpx.Response:
        if isinstance(reply, Exception):
            raise reply
        return reply

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        yield openai.AsyncOpenAI(
            http_client=http, api_key="stub-key", base_url=DEPLOYMENT["api_base"], max_retries=0
        )


async def ask(reply: httpx.Response | Exception, **arguments: Any) -> Any:
    """What `acompletion` returns, or raises; a stream is read to its end, as a list of its chunks."""
    async with provider(reply) as client:
        value = await litellm.acompletion(
            **DEPLOYMENT, messages=MESSAGES, client=client, max_retries=0, **arguments
        )
        return [piece async for piece in value] if arguments.get("stream") else value


async def failure(reply: httpx.Response | Exception, **arguments: Any) -> Exception:
    try:
        await ask(reply, **arguments)
    except Exception as error:
        return error
    raise AssertionError("acompletion did not raise")

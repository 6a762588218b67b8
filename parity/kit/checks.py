"""Checks that a mock returned what the proxy needs: a sentence with the mistake and its correction, or None."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any
from unittest.mock import NonCallableMock

import httpx

from parity.kit.stubs import Asked

_BODY = {
    "chat/completions": ("choices", "a chat completion", "mock_completion_response('Hello')"),
    "messages": ("content", "a message", "mock_message_response('Hello')"),
}
_MEANT = "If the test is about such a body, say so with broken=True."


def kind_of(value: Any) -> str:
    """Name a value's kind as messages do: `a Mock`, `a dict`, `None`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def http_response(response: Any, asked: Asked, who: str) -> str | None:
    """Check what a mocked client answered, read or not. Streams aren't read here."""
    status = getattr(response, "status_code", None)
    stream = "chunks=mock_streaming_chunks_sequence('Hello')"
    good = f"MockHTTPResponse({stream if asked.streamed else '200, ' + _example(asked)})"
    if not isinstance(status, int):
        return (
            f"{who} answered {asked} with {kind_of(response)}, which has no status_code. Answer with {good}."
        )
    if not isinstance(getattr(response, "headers", None), Mapping):
        return (
            f"{who} answered {asked} with {kind_of(response)}, whose headers are {kind_of(response.headers)}. "
            f"Answer with {good}."
        )
    if status != 200 or asked.endpoint not in _BODY or getattr(response, "broken", False):
        return None
    key, what, example = _BODY[asked.endpoint]
    content_type = _content_type(response)
    if asked.streamed:
        if content_type is None or "text/event-stream" in content_type:
            return None
        return (
            f"{who} answered {asked} with a whole body, but the request wants a stream. Answer with "
            f"{good}. {_MEANT}"
        )
    if content_type is not None and "text/event-stream" in content_type:
        return (
            f"{who} answered {asked} with a stream, but the request doesn't say stream: true. Answer with "
            f"MockHTTPResponse(200, {example}), or ask for a stream."
        )
    text = _text(response)
    if not isinstance(text, str):
        return (
            f"{who} answered {asked} with a body that is {kind_of(text)} instead of text. "
            f"Answer with MockHTTPResponse(200, {example})."
        )
    if not text.strip():
        return f"{who} answered {asked} with an empty body. Answer with MockHTTPResponse(200, {example}). {_MEANT}"
    try:
        body = json.loads(text)
    except ValueError:
        return (
            f"{who} answered {asked} with a body that is no JSON: {text[:60]!r}. "
            f"Answer with MockHTTPResponse(200, {example}). {_MEANT}"
        )
    if not (isinstance(body, dict) and isinstance(body.get(key), list)):
        return (
            f"{who} answered {asked} with a body that is not {what}: it has no list {key!r} ({text[:60]!r}). "
            f"Answer with MockHTTPResponse(200, {example}). {_MEANT}"
        )
    return None


def _example(asked: Asked) -> str:
    return _BODY[asked.endpoint][2] if asked.endpoint in _BODY else "{…}"


def _content_type(response: Any) -> str | None:
    try:
        value = response.headers.get("content-type", "")
    except AttributeError:
        return None
    return value if isinstance(value, str) else None


def _text(response: Any) -> Any:
    if isinstance(response, httpx.Response):
        if isinstance(response.stream, httpx.ByteStream):
            return b"".join(response.stream).decode("utf-8", "replace")
        return response.text if response.is_stream_consumed or hasattr(response, "_content") else "{}"
    return getattr(response, "text", None)


def not_awaitable(result: Any, seam: str, instead: str) -> str | None:
    """Check the result of calling something that must be a coroutine function."""
    if inspect.isawaitable(result):
        return None
    if inspect.isasyncgen(result):
        return (
            f"{seam} is patched with an async generator function, where a coroutine function is due. "
            f"Write patch({seam!r}, AsyncMock(return_value=the_generator())), with parentheses."
        )
    return (
        f"{seam} is patched with something that returns {kind_of(result)} instead of a coroutine, as a plain Mock "
        f"does. Write patch({seam!r}, AsyncMock({instead}))."
    )


def sdk_value(value: Any, asked: Asked, seam: str) -> str | None:
    """Check what LiteLLM's function returned once awaited."""
    if asked.endpoint not in _BODY:
        return None
    chat = asked.endpoint == "chat/completions"
    whole, streaming = (
        ("mock_model_response('Hello')", "mock_stream_wrapper('Hello')")
        if chat
        else ("mock_message_response('Hello')", "an async iterator of bytes")
    )
    given = f"{seam} returned {kind_of(value)} for {asked}"
    if asked.streamed:
        if hasattr(type(value), "__aiter__") and not isinstance(value, NonCallableMock):
            return None
        if inspect.isgenerator(value) or isinstance(value, list | tuple):
            return f"{given}: a stream must be an async iterator (`async def … yield`). Return {streaming}."
        if inspect.isasyncgenfunction(value):
            return f"{given}: the async generator function itself. Call it: return_value=chunks()."
        return f"{given}, but the request wants a stream. Return {streaming}."
    if not chat:
        if isinstance(value, dict) and isinstance(value.get("content"), list):
            return None
        return f"{given}, where the dict of a message is due. Return {whole}."
    if isinstance(value, NonCallableMock):
        return f"{given}, where a litellm.ModelResponse is due. Return {whole}."
    if hasattr(value, "__aiter__"):
        return f"{given}, but the request doesn't say stream: true. Return {whole}, or ask for a stream."
    if isinstance(value, dict):
        return f"{given}, where LiteLLM returns an object. Return {whole}, or litellm.ModelResponse(**that_dict)."
    if not (hasattr(value, "model_dump") and isinstance(getattr(value, "choices", None), list)):
        return f"{given}, where a litellm.ModelResponse is due. Return {whole}."
    return None


def sdk_chunk(chunk: Any, asked: Asked, seam: str) -> str | None:
    """Check one item of a stream that LiteLLM's function returned."""
    if asked.endpoint not in _BODY:
        return None
    if asked.endpoint == "messages":
        if isinstance(chunk, bytes):
            return None
        return f"{seam}: its stream yields {kind_of(chunk)}; LiteLLM yields the bytes of server-sent events there."
    if hasattr(chunk, "model_dump") and not isinstance(chunk, NonCallableMock):
        return None
    return (
        f"{seam}: its stream yields {kind_of(chunk)}, where litellm.ModelResponseStream is due. "
        "Return mock_stream_wrapper([…]), or yield litellm.ModelResponseStream(**chunk) for each chunk of "
        "mock_streaming_chunks_sequence(…)."
    )

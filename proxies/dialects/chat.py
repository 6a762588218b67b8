"""Describes the dialect of `/v1/chat/completions`: its parameters and how its stream is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from proxies.chunks import NO_USAGE, WRITTEN, parsed
from proxies.dialects.base import Open, without_guess, without_nulls
from proxies.errors import ProxyError, envelope
from proxies.support.jsontext import json_text
from proxies.support.sse import encode

_List = list[dict[str, Any]]
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class _Message(Open):
    role: Annotated[str, Field(min_length=1)]
    content: str | _List | None = None
    name: str | None = None
    tool_calls: _List | None = None
    tool_call_id: str | None = None


class _StreamOptions(Open):
    include_usage: bool | None = None


class ChatParams(Open):
    """The types of a chat completion's parameters; ranges are the provider's business."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    audio: dict[str, Any] | None = None
    drop_params: bool | None = None
    frequency_penalty: float | None = None
    function_call: str | dict[str, Any] | None = None
    functions: _List | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, Any] | None = None
    modalities: list[str] | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    reasoning_effort: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    temperature: float | None = None
    thinking: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: _List | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None


def is_completion(body: dict[str, Any]) -> bool:
    """Whether an answer is a completion: it has a choice, and each has a message."""
    choices = body.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices)
    )


def as_said(body: dict[str, Any]) -> dict[str, Any]:
    """A completion or a chunk without what LiteLLM makes up: costs, zeros for a usage, a choice beside the usage."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return body
    usage = body.get("usage")
    if isinstance(usage, dict) and body.get("object") == "chat.completion.chunk":
        written = parsed(_mark(usage, WRITTEN) or "")
        # A usage that isn't marked is of another API, none of which names a cost.
        said = written if isinstance(written, dict) else {k: v for k, v in usage.items() if k != "cost"}
        body = {**body, "usage": said}
        if all(map(_says_nothing, choices)):
            return {**body, "choices": []}
    elif isinstance(usage, dict) and not any(usage.get(name) for name in _COUNTS):
        body = {**body, "usage": None}  # LiteLLM's zeros: the provider didn't say
    elif isinstance(usage, dict) and any(_thought(choice.get("message")) for choice in choices):
        body = {**body, "usage": without_guess(usage, "completion_tokens_details")}
    return body


def _thought(said: Any) -> bool:
    """Whether a message, or a piece of one, has thoughts of a Claude's."""
    return isinstance(said, dict) and bool(said.get("thinking_blocks"))


def _mark(usage: dict[str, Any], mark: str) -> Any:
    """The value of a usage's mark; None where it has none."""
    details = usage.get("prompt_tokens_details")
    return details.get(mark) if isinstance(details, dict) else None


def _says_nothing(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    return not choice.get("finish_reason") and not (isinstance(delta, dict) and any(delta.values()))


class ChatFraming:
    """OpenAI's chunks, nameless, closed by `[DONE]` come what may."""

    end = encode("[DONE]")

    async def checked(
        self, chunks: AsyncIterator[dict[str, Any]], model: str
    ) -> AsyncIterator[dict[str, Any]]:
        # Where they end is known to the backends alone.
        thought = False
        async for chunk in chunks:
            usage = chunk.get("usage")
            if isinstance(usage, dict) and _mark(usage, NO_USAGE):
                continue
            thought = thought or any(_thought(choice.get("delta")) for choice in chunk.get("choices") or ())
            said = as_said(chunk)
            if thought and isinstance(said.get("usage"), dict):
                said = {**said, "usage": without_guess(said["usage"], "completion_tokens_details")}
            yield {**without_nulls(said), "model": model}

    def frame(self, chunk: dict[str, Any]) -> bytes:
        return encode(json_text(chunk))

    def failure(self, error: ProxyError) -> bytes:
        return encode(json_text(envelope(error)))

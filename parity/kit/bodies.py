"""Builds bodies for tests: answers of a real LiteLLM or a proxy, with only the given fields replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parity.kit import http_answers
from parity.kit.completion import Completion, FinishReason, Refusal, ToolCall, stream, whole
from parity.kit.samples import ErrorKind, Route
from parity.targets import arms

MODEL = "gpt-4o-mini"
MESSAGES_MODEL = "claude-sonnet-4-5"
HELLO = "Hello! How can I assist you today?"


def mock_completion_response(
    content: str | None = None,
    *,
    model: str = MODEL,
    finish_reason: FinishReason | None = None,
    tool_calls: Sequence[ToolCall] = (),
    usage: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the body of a chat completion.

    `usage`: any of `prompt_tokens`, `completion_tokens`, `total_tokens`. With `tool_calls` the content is null
    and the finish reason `tool_calls`, unless they are given.
    """
    answer = Completion(_content(content, tool_calls), tool_calls, finish_reason, usage)
    return whole(answer, "chat/completions", "process", model)


def mock_message_response(
    content: str | None = None,
    *,
    model: str = MESSAGES_MODEL,
    finish_reason: FinishReason | None = None,
    tool_calls: Sequence[ToolCall] = (),
    usage: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Build the body of `/v1/messages`; `finish_reason` and `usage` in OpenAI's words."""
    answer = Completion(_content(content, tool_calls), tool_calls, finish_reason, usage)
    return whole(answer, "messages", "process", model)


def mock_streaming_chunks_sequence(
    content: str | Sequence[str] | None = None,
    *,
    model: str = MODEL,
    finish_reason: FinishReason | None = None,
    tool_calls: Sequence[ToolCall] = (),
    usage: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Build the chunks of a streamed chat completion, without `[DONE]`: role, content pieces, end.

    `content` as text is cut into words. With `usage` there is the chunk that `include_usage` asks for.
    """
    pieces = None if content is None or isinstance(content, str) else list(content)
    text = _content(content, tool_calls) if content is None or isinstance(content, str) else None
    answer = Completion(text, tool_calls, finish_reason, usage, pieces)
    return stream(answer, "chat/completions", "process", model)


def mock_error_response(
    status: int | None = None,
    message: str | None = None,
    *,
    kind: ErrorKind | None = None,
    model: str = MODEL,
    route: Route = "chat/completions",
) -> dict[str, Any]:
    """Build the LiteLLM process's body for a provider's error, in LiteLLM's own words around `message`.

    By `status`, or by `kind`. Raises `ValueError` for an error that was never recorded.
    """
    if (status is None) == (kind is None):
        raise ValueError(
            "mock_error_response: give either status or kind, as in mock_error_response(429, 'Slow down.')"
        )
    return http_answers.error_body(Refusal(status, message, kind), route, model)


def mock_models_list(models: Sequence[str] = (MODEL,)) -> dict[str, Any]:
    """Build the body of `GET /v1/models` at either proxy.

    A LiteLLM process adds the limits and modes that it knows.
    """
    return arms.models_list(models)


def mock_routing_info(
    *,
    user_id: str | None = None,
    user_agent: str | None = None,
    user_id_mappings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the body of `GET /memory-routing/info` for a client that sends these; the proxies' own code
    decides.

    `user_id`: in the custom header. `user_id_mappings`: that section of the configuration.
    """
    mappings = dict(user_id_mappings or {})
    headers = {
        mappings.get("custom_header", "x-memory-user-id"): user_id,
        "user-agent": user_agent,
    }
    return arms.routing_info({k: v for k, v in headers.items() if v is not None}, mappings)


def _content(content: str | None, tool_calls: Sequence[ToolCall]) -> str | None:
    return HELLO if content is None and not tool_calls else content

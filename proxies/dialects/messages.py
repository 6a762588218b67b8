"""Describes what POST /v1/messages takes, and how it streams: Anthropic's dialect, for any provider's models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from proxies.dialects.base import Open
from proxies.errors import UNREACHABLE, UNREADABLE, ProxyError, envelope
from proxies.support.jsontext import json_text
from proxies.support.sse import encode
from proxies.upstream_errors import upstream_error

_List = list[dict[str, Any]]

_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Statuses by the type of an error event, which carries none; Anthropic's list of errors. Others are 500."""


class _Message(Open):
    role: Annotated[str, Field(min_length=1)]
    content: str | _List


class MessagesParams(Open):
    """The types of a message's parameters; ranges are the provider's business."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_tokens: int
    stream: bool | None = None
    system: str | _List | None = None
    cache_control: dict[str, Any] | None = None
    container: str | dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    mcp_servers: _List | None = None
    metadata: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    service_tier: str | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    thinking: dict[str, Any] | None = None
    tool_choice: dict[str, Any] | None = None
    tools: _List | None = None
    top_k: int | None = None
    top_p: float | None = None


class CountParams(MessagesParams):
    """The same of a message that is only to be counted."""

    max_tokens: int | None = None  # type: ignore[assignment]  # needed for an answer alone


def is_count(body: dict[str, Any]) -> bool:
    """Whether an answer is a number of tokens."""
    return type(body.get("input_tokens")) is int


def is_message(body: dict[str, Any]) -> bool:
    """Whether an answer is a message: a list of blocks."""
    content = body.get("content")
    return (
        body.get("type") == "message"
        and isinstance(content, list)
        and all(isinstance(block, dict) for block in content)
    )


class MessagesFraming:
    """Anthropic's events, each named by its `type`; `message_stop` is the only good end."""

    end = b""

    async def checked(
        self, chunks: AsyncIterator[dict[str, Any]], model: str
    ) -> AsyncIterator[dict[str, Any]]:
        """The events up to `message_stop`, under the name that was asked for.

        Raises `ProxyError` for an error event, and for an end that comes too early.
        """
        async for event in chunks:
            match event:
                case {"type": "error"}:
                    raise _failure(event)
                case {"type": "message_start", "message": dict(message)}:
                    yield {**event, "message": {**message, "model": model}}
                case {"type": "message_stop"}:
                    yield event
                    return
                case {"type": str()}:
                    yield event
                case _:
                    raise ProxyError(502, UNREADABLE)
        raise ProxyError(502, UNREACHABLE)

    def frame(self, event: dict[str, Any]) -> bytes:
        return encode(json_text(event), event["type"])

    def failure(self, error: ProxyError) -> bytes:
        return encode(json_text(envelope(error, "anthropic")), "error")


def _failure(event: dict[str, Any]) -> ProxyError:
    """Return the failure of an error event. Neither LiteLLM nor Anthropic gives a status with it."""
    error = event.get("error")
    if not isinstance(error, dict):
        return ProxyError(502, UNREADABLE)
    status = _STATUS_OF.get(str(error.get("type")), 500)
    return upstream_error(status, str(error.get("message") or ""), answered=False)

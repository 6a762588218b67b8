"""Describes what POST /v1/responses takes, and how it streams: OpenAI's responses, for any provider's models.

Models of OpenAI's are asked for a response, and those of other providers for a chat completion, by LiteLLM.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import Field

from proxies.dialects.base import Open, without_nulls
from proxies.errors import UNREACHABLE, UNREADABLE, ProxyError, envelope
from proxies.support.jsontext import json_text
from proxies.support.sse import encode
from proxies.upstream_errors import upstream_error

_Text = Annotated[str, Field(min_length=1)]
_List = list[dict[str, Any]]

_STATUS_OF = {
    "authentication_error": 401,
    "content_policy_violation": 400,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "model_not_found": 400,
    "not_found_error": 404,
    "permission_error": 403,
    "rate_limit_exceeded": 429,
    "request_timeout": 408,
}
"""Statuses by the code of a failed response, which carries none; OpenAI's codes and LiteLLM's. Others are 500."""

_ENDS = frozenset({"response.completed", "response.incomplete"})


class ResponsesParams(Open):
    """The types of a response's parameters; ranges are the provider's business."""

    model: _Text
    input: _Text | Annotated[_List, Field(min_length=1)]
    stream: bool | None = None
    background: bool | None = None
    conversation: str | dict[str, Any] | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning: dict[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = None
    text: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: _List | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: str | None = None
    user: str | None = None


class ResponsesFraming:
    """OpenAI's events, each named by its `type`; a completed or incomplete response is the only good end."""

    end = b""

    async def checked(
        self, chunks: AsyncIterator[dict[str, Any]], model: str
    ) -> AsyncIterator[dict[str, Any]]:
        """The events up to the last one, under the name that was asked for.

        Raises `ProxyError` for an error event and a failed response, and for an end that comes too early.
        """
        announced = False
        async for event in chunks:
            match event:
                case {"type": "response.created"} if announced:
                    # The first one broke, and LiteLLM's process goes on with another, of a fallback.
                    raise ProxyError(502, UNREACHABLE)
                case {"type": "response.failed", "response": {"error": error}} | {
                    "type": "error",
                    "error": error,
                }:
                    raise _failure(error)
                case {"type": "response.failed" | "error"}:
                    raise _failure(event)
                case {"type": str(name)}:
                    announced = announced or name == "response.created"
                    yield _named(without_nulls(event), model)
                    if name in _ENDS:
                        return
                case _:
                    raise ProxyError(502, UNREADABLE)
        raise ProxyError(502, UNREACHABLE)

    def frame(self, event: dict[str, Any]) -> bytes:
        return encode(json_text(event), event["type"])

    def failure(self, error: ProxyError) -> bytes:
        """OpenAI's error event; its clients raise what they find under `error`."""
        said = envelope(error)["error"]
        event = {"type": "error", **{key: said[key] for key in ("code", "message", "param")}, "error": said}
        return encode(json_text(event), "error")


def is_response(body: dict[str, Any]) -> bool:
    """Whether an answer is a response, whatever became of it."""
    return body.get("object") == "response" and isinstance(body.get("output"), list)


def _named(event: dict[str, Any], model: str) -> dict[str, Any]:
    """The event with the model where OpenAI has it: in the response, and not beside it as LiteLLM's process."""
    kept = {key: value for key, value in event.items() if key != "model"}
    if isinstance(response := event.get("response"), dict):
        kept["response"] = {**response, "model": model}
    return kept


def _failure(error: Any) -> ProxyError:
    """Return the failure of a failed response. Neither LiteLLM nor OpenAI gives a status with it."""
    if not isinstance(error, dict):
        return ProxyError(502, UNREADABLE)
    code = str(error.get("code") or "")
    return upstream_error(
        _STATUS_OF.get(code, 500), str(error.get("message") or ""), answered=False, code=code or None
    )

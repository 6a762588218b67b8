"""Folds stream frames into one message, as a client would; on purpose without the proxies' code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from parity.observation.fold_messages import fold_messages
from parity.observation.fold_responses import fold_responses
from parity.observation.model import Frame, StreamMessage

HIGHEST_INDEX = 127  # of a choice or tool call; a wilder index is a broken frame, not a longer list


@dataclass(slots=True)
class _ToolCall:
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class _Choice:
    text: str = ""
    refusal: str = ""
    finish_reason: str | None = None
    tool_calls: dict[int, _ToolCall] = field(default_factory=dict)


def fold(frames: Iterable[Frame]) -> StreamMessage:
    """Put chat completion chunks together: choices and tool calls by their `index`, strings concatenated.

    Anthropic's events are put together by `fold_messages`, for they begin with `message_start`, and those of
    a response by `fold_responses`.
    The last `usage` and the last `error` that are not null count. A choice that was skipped is an empty
    string and a null finish_reason, a skipped tool call null. What makes no sense in a chunk is passed over,
    since the frames themselves are compared too.
    """
    frames = list(frames)
    if any(frame.event == "message_start" for frame in frames):
        return fold_messages(frames)
    if any(frame.event.startswith("response.") for frame in frames):
        return fold_responses(frames)
    choices: dict[int, _Choice] = {}
    usage: Any = None
    error: Any = None
    for frame in frames:
        if not isinstance(frame.data, dict):
            continue
        usage = _first(frame.data.get("usage"), usage)
        error = _first(frame.data.get("error"), error)
        for raw in _objects(frame.data.get("choices")):
            index = _index(raw)
            if index is not None:
                _add(choices.setdefault(index, _Choice()), raw)
    ordered = [choices.get(index, _Choice()) for index in range(max(choices, default=-1) + 1)]
    return StreamMessage(
        texts=[choice.text for choice in ordered],
        finish_reasons=[choice.finish_reason for choice in ordered],
        tool_calls=_tool_calls(ordered[0]) if ordered else [],
        usage=usage,
        error=error,
        refusal=ordered[0].refusal if ordered else "",
    )


def _add(choice: _Choice, raw: dict[str, Any]) -> None:
    choice.finish_reason = _first(_text(raw.get("finish_reason")), choice.finish_reason)
    delta = raw.get("delta")
    if not isinstance(delta, dict):
        return
    choice.text += _text(delta.get("content")) or ""
    choice.refusal += _text(delta.get("refusal")) or ""
    for part in _objects(delta.get("tool_calls")):
        index = _index(part)
        if index is None:
            continue
        call = choice.tool_calls.setdefault(index, _ToolCall())
        call.id = call.id or _text(part.get("id"))
        function = part.get("function")
        if isinstance(function, dict):
            call.name = call.name or _text(function.get("name"))
            call.arguments += _text(function.get("arguments")) or ""


def _tool_calls(choice: _Choice) -> list[Any]:
    calls = [choice.tool_calls.get(index) for index in range(max(choice.tool_calls, default=-1) + 1)]
    return [call and {"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _index(item: dict[str, Any]) -> int | None:
    index = item.get("index")
    return index if isinstance(index, int) and 0 <= index <= HIGHEST_INDEX else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _first(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value

"""Folds the events of a response into one message, as a client would; on purpose without the proxies' code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.observation.model import Frame, StreamMessage


def fold_responses(frames: Iterable[Frame]) -> StreamMessage:
    """Fold the events of a response: its texts from their deltas, by output index and content index.

    The finish reason is the status of the last response, or why it is incomplete. Tool calls are the items that
    are done, their arguments from the deltas; `thinking` is the summary of the reasoning. What makes no sense
    is passed over.
    """
    texts: dict[tuple[int, int], str] = {}
    arguments: dict[int, str] = {}
    calls: dict[int, dict[str, Any]] = {}
    thinking = ""
    last: dict[str, Any] = {}
    error: Any = None
    for frame in frames:
        match frame.data:
            case {
                "type": "response.output_text.delta",
                "output_index": int(item),
                "content_index": int(part),
                "delta": str(text),
            }:
                texts[item, part] = texts.get((item, part), "") + text
            case {
                "type": "response.function_call_arguments.delta",
                "output_index": int(item),
                "delta": str(text),
            }:
                arguments[item] = arguments.get(item, "") + text
            case {"type": "response.reasoning_summary_text.delta", "delta": str(text)}:
                thinking += text
            case {"type": "response.output_item.done", "output_index": int(item), "item": dict(done)}:
                if done.get("type") == "function_call":
                    calls[item] = {"id": done.get("call_id"), "name": done.get("name")}
            case {"type": "response.completed" | "response.incomplete", "response": dict(response)}:
                last = response
            case {"type": "error", "error": what}:
                error = what
    why = last.get("incomplete_details")
    return StreamMessage(
        texts=["".join(texts[place] for place in sorted(texts))],
        finish_reasons=[why.get("reason") if isinstance(why, dict) else last.get("status")],
        tool_calls=[{**calls[item], "arguments": arguments.get(item, "")} for item in sorted(calls)],
        usage=last.get("usage"),
        error=error,
        thinking=thinking,
    )

"""Repairs a message of Claude's before LiteLLM makes another dialect's answer of it, whole or streamed.

It imports httpx alone, as `proxies.egress` does, since it runs in the LiteLLM process, too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from proxies.chunks import (
    FINISH_REASONS,
    MOST_SENTENCE,
    UNREADABLE,
    Unfinished,
    data_of,
    events,
    parsed,
    short_error,
    unknown_end,
)

Json = Any


def mended_message(body: bytes, message: dict[str, Json]) -> tuple[bytes, str]:
    """A message as LiteLLM is to read it, or the sentence about an end that nobody knows."""
    if _unknown_stop(message.get("stop_reason")):
        return body, unknown_end(message["stop_reason"])
    content = message.get("content")
    if isinstance(content, list) and any(map(_thinks, content)) and _counted_as_none(message):
        return json.dumps(message).encode(), ""
    return body, ""


async def mended_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Anthropic's events; raises `Unfinished` where they end without an end, or with one that nobody knows."""
    ended = thought = False
    async for event in events(pieces):
        document = parsed(data_of(event))
        if isinstance(document, dict):
            ended = ended or document.get("type") in ("message_stop", "error")
            if document.get("type") == "error" and len(event) > MOST_SENTENCE:
                event = _named_event({"type": "error", "error": short_error(document.get("error"))})
            thought = thought or _thinks(document.get("content_block"))
            delta = document.get("delta")
            if isinstance(delta, dict) and _unknown_stop(delta.get("stop_reason")):
                raise Unfinished(unknown_end(delta["stop_reason"]))
            if thought and _counted_as_none(document):
                event = _named_event(document)
        yield event
    if not ended:
        raise Unfinished(UNREADABLE)


def message_events(message: dict[str, Json]) -> bytes:
    usage = message.get("usage") or {}
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    made: list[dict[str, Json]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(message.get("content") or ()):
        made.append({"type": "content_block_start", "index": index, "content_block": _emptied(block)})
        made += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in _deltas(block)]
        made.append({"type": "content_block_stop", "index": index})
    delta = {name: message.get(name) for name in ("stop_reason", "stop_sequence")}
    made += [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]
    return b"".join(map(_named_event, made))


def _named_event(event: dict[str, Json]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _emptied(block: dict[str, Json]) -> dict[str, Json]:
    """How a block begins in a stream."""
    empty: dict[str, dict[str, Json]] = {
        "text": {"text": ""},
        "tool_use": {"input": {}},
        "thinking": {"thinking": "", "signature": ""},
    }
    return {**block, **empty.get(str(block.get("type")), {})}


def _deltas(block: dict[str, Json]) -> list[dict[str, Json]]:
    """The rest of it."""
    match block.get("type"):
        case "text":
            return [{"type": "text_delta", "text": block.get("text", "")}]
        case "tool_use":
            return [{"type": "input_json_delta", "partial_json": json.dumps(block.get("input") or {})}]
        case "thinking":
            return [
                {"type": "thinking_delta", "thinking": block.get("thinking", "")},
                {"type": "signature_delta", "signature": block.get("signature", "")},
            ]
    return []


def _thinks(block: Json) -> bool:
    return isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking")


def _counted_as_none(document: dict[str, Json]) -> bool:
    """Write into the usage of a message with thoughts that they are none, where nobody counted them; whether it was so.

    Else LiteLLM counts them itself, with somebody else's tokenizer. The front leaves a count of none out.
    """
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return False
    details = usage.get("output_tokens_details")
    details = details if isinstance(details, dict) else {}
    if details.get("thinking_tokens") is not None:
        return False
    usage["output_tokens_details"] = {**details, "thinking_tokens": 0}
    return True


def _unknown_stop(reason: Json) -> bool:
    return reason is not None and reason not in FINISH_REASONS and reason != "pause_turn"

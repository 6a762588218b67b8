"""Makes what a provider answers: OpenAI a chat completion or a response, Anthropic a message, whole or as a stream.

It is what a provider sends to LiteLLM; what LiteLLM makes of it is recorded, see `parity.kit`.
"""

from __future__ import annotations

import json
from typing import Any

_ID = "chatcmpl-B9MSample0Rq7sT2vXyZ4aBcDeFg"
_CREATED = 1741574400
_MODEL = "gpt-4o-mini-2024-07-18"

DONE = "data: [DONE]\n\n"
"""Ends a stream of OpenAI's."""


def completion(text: str | None = "Hello", *, finish: str = "stop", **changes: Any) -> dict[str, Any]:
    """Make a chat completion whose one choice says `text`; `changes` replace its members or add to them."""
    return {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": _MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        **changes,
    }


def chunk(finish: str | None = None, *, delta: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a chunk of a streamed completion with this `delta`."""
    return {
        "id": _ID,
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": _MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **changes,
    }


def chunks(*pieces: str, **changes: Any) -> list[dict[str, Any]]:
    """Make the chunks of a whole stream: one for each piece of text, then the one that ends it."""
    said = [chunk(delta={"role": "assistant", "content": piece}, **changes) for piece in pieces]
    return [*said, chunk("stop", delta={}, **changes)]


def response(text: str = "Hello", **changes: Any) -> dict[str, Any]:
    """Make a response whose one message says `text`; `changes` replace its members or add to them."""
    said = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [said],
    }
    return {
        "id": "resp_68Sample2bc8819d",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "error": None,
        "model": _MODEL,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **changes,
    }


def response_events(*pieces: str, **changes: Any) -> list[dict[str, Any]]:
    """Make the events of a response's stream: one delta for each piece of text."""
    whole = response("".join(pieces), **changes)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}},
        *({"type": "response.output_text.delta", **place, "delta": piece} for piece in pieces),
        {"type": "response.completed", "response": whole},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def message(text: str = "Hello", **changes: Any) -> dict[str, Any]:
    """Make a message whose one block says `text`; `changes` replace its members or add to them."""
    return {
        "id": "msg_01Sample938a90dw8q",
        "type": "message",
        "role": "assistant",
        "model": "claude-3-5-haiku-20241022",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
        **changes,
    }


def message_events(*pieces: str, **changes: Any) -> list[dict[str, Any]]:
    """Make the events of a message's stream: one delta for each piece of text."""
    return [
        {"type": "message_start", "message": {**message(**changes), "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]


def as_events(bodies: list[dict[str, Any]]) -> str:
    """Write bodies as server-sent events: a message's and a response's are named, others end with [DONE]."""
    if "type" in bodies[0]:
        return "".join(f"event: {body['type']}\ndata: {json.dumps(body)}\n\n" for body in bodies)
    return "".join(f"data: {json.dumps(body)}\n\n" for body in bodies) + DONE

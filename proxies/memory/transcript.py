"""Collects what an answer said, whole or in chunks, in every dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from proxies.memory.strategies import text_of

_PAUSES = frozenset({"tool_calls", "function_call", "tool_use", "pause_turn", "content_filter", "refusal"})
"""Reasons to stop after which a turn goes on, or after which there is nothing worth remembering."""
_CALL = re.compile(r"\w+_call|mcp_approval_request")
_ANSWERED = (
    "code_interpreter_call",
    "file_search_call",
    "image_generation_call",
    "mcp_call",
    "web_search_call",
)
"""Calls in a response that OpenAI answers itself; the client answers all others, and the turn goes on."""


class Transcript:
    """Collects `text`, of choice 0 where there are several.

    `finished`: it said why it stopped, and its turn ends there: no tool is called. `closed`: its last event
    was seen, which chat completions don't have.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.finished = False
        self.closed = False

    @property
    def text(self) -> str:
        return "".join(self._parts).strip()

    def add_answer(self, body: Mapping[str, Any]) -> None:
        """A whole chat completion, message or response."""
        match body:
            case {"choices": [{"message": {"content": content}} as choice, *_]}:
                self._add(text_of(content))
                self._stop(choice.get("finish_reason"))
            case {"type": "message", "content": content}:
                self._add(text_of(content))
                self._stop(body.get("stop_reason"))
            case {"object": "response", "output": list(items)}:
                said = [i for i in items if isinstance(i, Mapping) and i.get("type") == "message"]
                self._add("\n".join(text_of(item.get("content")) for item in said))
                self.finished = body.get("status") == "completed" and not any(map(_waits, items))

    def add_chunk(self, chunk: Mapping[str, Any]) -> None:
        """A chunk of a chat completion, or an event of a message or a response."""
        match chunk:
            case {"choices": list(choices)}:
                for choice in choices:
                    match choice:
                        case {"index": int(index)} if index:
                            continue
                        case {"delta": {"content": str(text)}}:
                            self._add(text)
                    self._stop(choice.get("finish_reason") if isinstance(choice, Mapping) else None)
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
                self._add(text)
            case {"type": "message_delta", "delta": {"stop_reason": reason}}:
                self._stop(reason)
            case {"type": "message_stop"}:
                self.closed = True
            case {"type": "response.completed" | "response.incomplete", "response": dict(response)}:
                self.add_answer(response)
                self.closed = True

    def _add(self, text: str) -> None:
        self._parts.append(text)

    def _stop(self, reason: Any) -> None:
        if isinstance(reason, str):
            self.finished = reason not in _PAUSES


def _waits(item: Any) -> bool:
    """Whether an item of a response's output calls for an answer of the client's."""
    kind = str(item.get("type")) if isinstance(item, Mapping) else ""
    return _CALL.fullmatch(kind) is not None and kind not in _ANSWERED

"""Folds Anthropic's events into one message, as a client would; on purpose without the proxies' code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.observation.model import Frame, StreamMessage


def fold_messages(frames: Iterable[Frame]) -> StreamMessage:
    """Fold the events of a message: its text blocks are one text, its stop_reason the one finish reason.

    A tool call is a `tool_use` block, its `arguments` the JSON text of the input; `usage` is that of
    `message_start`, brought up to date by `message_delta`. What makes no sense is passed over.
    """
    blocks: dict[int, dict[str, Any]] = {}
    usage: dict[str, Any] = {}
    stop_reason: Any = None
    error: Any = None
    for frame in frames:
        match frame.data:
            case {"type": "message_start", "message": {"usage": dict(start)}}:
                usage = {**usage, **start}
            case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
                blocks[index] = {**block, "json": ""}
            case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
                _add(blocks.setdefault(index, {"json": ""}), delta)
            case {"type": "message_delta", "delta": dict(delta)}:
                stop_reason = delta.get("stop_reason", stop_reason)
                latest = frame.data.get("usage")
                usage = {**usage, **latest} if isinstance(latest, dict) else usage
            case {"type": "error", "error": what}:
                error = what
    ordered = [blocks[index] for index in sorted(blocks)]
    return StreamMessage(
        texts=["".join(_text(block, "text") for block in ordered if block.get("type") != "thinking")],
        finish_reasons=[stop_reason],
        tool_calls=[
            {"id": block.get("id"), "name": block.get("name"), "arguments": block["json"]}
            for block in ordered
            if block.get("type") == "tool_use"
        ],
        usage=usage or None,
        error=error,
        thinking="".join(_text(block, "thinking") for block in ordered),
        signature="".join(_text(block, "signature") for block in ordered),
    )


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] = _text(block, name) + _text(delta, name)
    block["json"] += _text(delta, "partial_json")


def _text(block: dict[str, Any], name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""

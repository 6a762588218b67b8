"""Holds a stub's content in no dialect yet; `build` puts it into one, by changing a recorded sample.

Completion   a chat completion or message, whole or as a stream: as the request wants it
Refusal      an error of the provider's
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from parity.kit import samples
from parity.kit.samples import ErrorKind, Route, Side
from parity.targets.arms import WRITTEN

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_USAGE = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}


@dataclass(frozen=True)
class ToolCall:
    """Holds a tool call of the model. `arguments` as an object, or as the text that the model wrote."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = "call_f9KzT1sXb0uQyV6mN2pRw3Ja"

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True)
class Completion:
    """Holds a model's answer. `pieces`: the stream's deltas; `breaks`: the error that ends a stream after
    them.
    """

    content: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: FinishReason | None = None
    usage: Mapping[str, int] | None = None
    pieces: Sequence[str] | None = None
    breaks: str | None = None

    @property
    def finished(self) -> str:
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def cut(self) -> list[str]:
        if self.pieces is not None:
            return list(self.pieces)
        return re.findall(r"\s*\S+\s*$|\s*\S+|\s+", self.content or "")

    @property
    def said(self) -> str | None:
        if self.content is None and self.pieces is not None:
            return "".join(self.pieces)
        return self.content


@dataclass(frozen=True)
class Refusal:
    """Holds an error, by `status` or `kind`. `message` replaces the provider's sentence, `retry_after` its
    header.
    """

    status: int | None = None
    message: str | None = None
    kind: ErrorKind | None = None
    retry_after: str | None = None


def whole(answer: Completion, route: Route, side: Side, model: str) -> dict[str, Any]:
    """Build the body of a plain answer."""
    if route == "messages":
        return _message(answer, side, model)
    body = samples.body("chat.tool_call" if answer.tool_calls else "chat.plain", side)
    choice = body["choices"][0]
    choice["message"]["content"] = answer.said
    if answer.tool_calls:
        sample = choice["message"]["tool_calls"][0]
        choice["message"]["tool_calls"] = [
            {
                **sample,
                "id": call.id,
                "function": {**sample["function"], "name": call.name, "arguments": call.text},
            }
            for call in answer.tool_calls
        ]
    choice["finish_reason"] = answer.finished
    body["model"] = model
    body["usage"] |= _usage(body["usage"], answer.usage)
    return body


def stream(answer: Completion, route: Route, side: Side, model: str) -> list[dict[str, Any]]:
    """Build the chunks of a stream, or Anthropic's events, without the closing `[DONE]`."""
    return (_message_events if route == "messages" else _chat_chunks)(answer, side, model)


def _usage(sample: Mapping[str, Any], asked: Mapping[str, int] | None) -> dict[str, int]:
    if not asked:
        return {}
    counts = {**{name: sample[name] for name in _USAGE}, **asked}
    return {"total_tokens": counts["prompt_tokens"] + counts["completion_tokens"], **asked}


def _count(usage: dict[str, Any], asked: Mapping[str, int]) -> None:
    """Write the counts that are asked for into a stream's usage, and into what it says that the provider wrote."""
    counts = _usage(usage, asked)
    usage |= counts
    details = usage["prompt_tokens_details"]
    details[WRITTEN] = json.dumps({**json.loads(details[WRITTEN]), **counts})


def _chat_chunks(answer: Completion, side: Side, model: str) -> list[dict[str, Any]]:
    opening, piece, *_, last = samples.chunks("streaming.plain", side)
    made = [opening]
    for text in answer.cut:
        made.append(deepcopy(piece))
        made[-1]["choices"][0]["delta"]["content"] = text
    if answer.tool_calls:
        made += _tool_chunks(answer.tool_calls, side)
    if answer.breaks is None:
        last["choices"][0]["finish_reason"] = answer.finished
        made.append(last)
        if answer.usage:
            made.append(samples.chunks("streaming.usage", side)[-1])
            _count(made[-1]["usage"], answer.usage)
    same = {name: opening[name] for name in ("id", "created", "system_fingerprint")}
    return [{**chunk, **same, "model": model} for chunk in made]


def _tool_chunks(calls: Sequence[ToolCall], side: Side) -> list[dict[str, Any]]:
    # In this recording the role has a chunk of its own, and a call's name and arguments one each.
    _, named, written, *_ = samples.chunks("streaming.parallel_tool_calls", side)
    made = []
    for index, call in enumerate(calls):
        for sample, change in (
            (named, {"name": call.name, "arguments": ""}),
            (written, {"arguments": call.text}),
        ):
            chunk = deepcopy(sample)
            delta = chunk["choices"][0]["delta"]["tool_calls"][0]
            delta["index"] = index
            delta["function"] |= change
            if sample is named:
                delta["id"] = call.id
            made.append(chunk)
    return made


def _message(answer: Completion, side: Side, model: str) -> dict[str, Any]:
    body = samples.body("messages.tool_use" if answer.tool_calls else "messages.plain", side)
    blocks = {block["type"]: block for block in body["content"]}
    content = []
    if answer.said or not answer.tool_calls:
        content.append({**blocks["text"], "text": answer.said or ""})
    for call in answer.tool_calls:
        content.append(
            {**blocks["tool_use"], "id": call.id, "name": call.name, "input": json.loads(call.text or "{}")}
        )
    body |= {"content": content, "model": model, "stop_reason": _STOP_REASONS[answer.finished]}
    body["usage"] |= _message_usage(answer.usage)
    return body


def _message_usage(asked: Mapping[str, int] | None) -> dict[str, int]:
    return {_USAGE.get(name, name): count for name, count in (asked or {}).items() if name != "total_tokens"}


def _message_events(answer: Completion, side: Side, model: str) -> list[dict[str, Any]]:
    sample = "messages.tool_use_stream" if answer.tool_calls else "messages.stream"
    events = samples.chunks(sample, side)
    by_type = {event["type"]: event for event in reversed(events)}
    start, ping = by_type["message_start"], by_type["ping"]
    start["message"]["model"] = model
    usage = _message_usage(answer.usage)
    start["message"]["usage"] |= {name: usage[name] for name in ("input_tokens",) if name in usage}
    blocks = [(_block(events, "text"), _delta(events, "text_delta"), "text", answer.cut)]
    for call in answer.tool_calls:
        opened = deepcopy(_block(events, "tool_use"))
        opened["content_block"] |= {"id": call.id, "name": call.name}
        blocks.append((opened, _delta(events, "input_json_delta"), "partial_json", [call.text]))
    made = [start]
    for index, (opened, delta, key, pieces) in enumerate(blocks):
        made.append({**opened, "index": index})
        made += [ping] if index == 0 else []
        made += [{**delta, "index": index, "delta": {**delta["delta"], key: piece}} for piece in pieces]
        if answer.breaks is not None and index == len(blocks) - 1:
            return made
        made.append({**by_type["content_block_stop"], "index": index})
    ended = by_type["message_delta"]
    ended["delta"]["stop_reason"] = _STOP_REASONS[answer.finished]
    ended["usage"] |= {name: usage[name] for name in ("output_tokens",) if name in usage}
    return [*made, ended, by_type["message_stop"]]


def _block(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(e for e in events if e.get("content_block", {}).get("type") == kind)


def _delta(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(e for e in events if e.get("delta", {}).get("type") == kind)

"""Reads what a scenario's provider says on OpenAI's wire, so that it can be said in another provider's dialect.

    a completion          ──> one `Said`
    a stream of chunks    ──> a `Said` for each chunk with text or whole tool calls, and a last one at `[DONE]`

The dialects that it is said in hold a tool call whole, so its pieces are put together until its choice is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.catalogue.scenario import SseEvent


class Unsayable(ValueError):
    """Reports what a dialect has no words for; the message says which scenario would be right."""


@dataclass(frozen=True)
class Call:
    id: str | None
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Holds what is said of one choice: a piece of its text, whole tool calls, and in the end why it is finished."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None


@dataclass(frozen=True)
class Usage:
    prompt: int
    completion: int
    reasoning: int


@dataclass(frozen=True)
class Said:
    """Holds one answer, or a piece of one; `last`: nothing comes after it."""

    choices: dict[int, Choice]
    usage: Usage | None = None
    last: bool = False


@dataclass(frozen=True)
class Failure:
    """Holds the error that a stream tells on its way."""

    message: str


def answer_of(body: Any) -> Said:
    """Read a completion. Raises `Unsayable`."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        raise Unsayable("it has no chat completion to say: choose one that answers /v1/chat/completions")
    read = {}
    for place, choice in enumerate(choices):
        message = choice.get("message") or {}
        calls = tuple(_call(one.get("id"), one["function"]) for one in message.get("tool_calls") or ())
        read[choice.get("index", place)] = Choice(
            message.get("content") or "", calls, choice.get("finish_reason") or "stop"
        )
    return Said(read, _usage(body.get("usage")), last=True)


def stream_of(events: Sequence[SseEvent]) -> Iterator[SseEvent | Said | Failure]:
    """Read a stream; pauses, ends, comments and what is no chunk are yielded as they are. Raises `Unsayable`."""
    if any(event.event is not None for event in events):
        raise Unsayable(
            "its provider streams named events: choose one that streams chunks of chat completions"
        )
    gathered = _Gathered()
    for event in events:
        if event.data == "[DONE]":
            yield gathered.end()
        elif not isinstance(event.data, dict):
            yield event
        elif error := event.data.get("error"):
            yield Failure(message_of(error))
        else:
            yield from gathered.add(event.data)


def message_of(error: Any) -> str:
    """Return the sentence of an error, whether it is an object or the sentence itself."""
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else json.dumps(error)


@dataclass
class _Gathered:
    """Holds what a stream has said that isn't handed on yet."""

    calls: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    finishes: dict[int, str] = field(default_factory=dict)
    usage: Usage | None = None

    def add(self, chunk: dict[str, Any]) -> Iterator[Said]:
        self.usage = _usage(chunk.get("usage")) or self.usage
        said: dict[int, Choice] = {}
        for choice in chunk.get("choices") or ():
            index = choice.get("index", 0)
            delta = choice.get("delta") or {}
            for piece in delta.get("tool_calls") or ():
                self._keep(self.calls.setdefault(index, {}), piece)
            calls: tuple[Call, ...] = ()
            if finish := choice.get("finish_reason"):
                self.finishes[index] = finish
                whole = self.calls.pop(index, {})
                calls = tuple(_call(call["id"], call) for _, call in sorted(whole.items()))
            if delta.get("content") or calls:
                said[index] = Choice(delta.get("content") or "", calls)
        if said:
            yield Said(said)

    def end(self) -> Said:
        choices = {index: Choice(finish=finish) for index, finish in sorted(self.finishes.items())}
        return Said(choices, self.usage, last=True)

    @staticmethod
    def _keep(calls: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
        call = calls.setdefault(piece.get("index", 0), {"id": None, "name": "", "arguments": ""})
        function = piece.get("function") or {}
        call["id"] = call["id"] or piece.get("id")
        call["name"] = call["name"] or function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


def _call(id: str | None, function: dict[str, Any]) -> Call:
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise Unsayable("a tool call's arguments are no JSON object, which they always are in this dialect")
    return Call(id, str(function.get("name")), arguments)


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("completion_tokens_details") or {}
    return Usage(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        details.get("reasoning_tokens") or 0,
    )

"""Repairs a provider's stream of chat completion chunks before LiteLLM reads it, where LiteLLM would lose or invent.

    bytes ── events ── Chunks ─> bytes for LiteLLM
                         ├─ tool calls   each with its own index, id and name; one after another for another dialect
                         ├─ refusal      where LiteLLM leaves it alone; for another dialect, as text
                         └─ the end      only after a finish reason that is known, else the stream breaks off

It imports httpx alone, as `proxies.egress` does, since it runs in the LiteLLM process, too.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

UNFINISHED = "The provider could not be reached, or closed the connection before its answer was complete."
UNREADABLE = "The provider's answer could not be read."

FINISH_REASONS = frozenset(
    {"stop", "length", "tool_calls", "function_call", "content_filter"}
    | {"stop_sequence", "end_turn", "max_tokens", "tool_use", "refusal", "compaction", "content_filtered"}
    | {"eos", "eos_token", "COMPLETE", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST"}
    | {"PROHIBITED_CONTENT", "SPII", "sensitive", "guardrail_intervened"}
)
"""Ends of an answer that LiteLLM translates into what they mean. All others it calls `stop`."""

WRITTEN, NO_USAGE = "proxy_written", "proxy_no_usage"
"""Mark the usage of a stream: with what its provider wrote, as JSON, or as one that it did not write; see `marked`.

LiteLLM adds costs and counts to the one, and makes up the other. So the front can tell, and hands on what was written.
"""

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r")

Chunk = dict[str, Any]


MOST_SENTENCE = 8192
"""Characters of an error's sentence: LiteLLM looks for secrets in it six times, 0.5 ms per 1,000 characters each."""

_MOST_NAME = 256


def cut(sentence: str) -> str:
    """A sentence of an error, of which no more is kept than anybody reads, and no half of a word: it may be a key."""
    if len(sentence) <= MOST_SENTENCE:
        return sentence
    kept = sentence[: MOST_SENTENCE - 1]
    return f"{kept[: max(kept.rfind(' '), MOST_SENTENCE // 2)]}…"


def short_error(error: Any) -> Any:
    """The same error with a sentence that is cut, and without anything else that is long; itself where it is short."""
    if isinstance(error, str):
        return cut(error)
    if not isinstance(error, dict) or len(json.dumps(error)) <= MOST_SENTENCE:
        return error
    short = {
        name: value
        for name, value in error.items()
        if name in ("type", "param", "code", "status") and len(json.dumps(value)) <= _MOST_NAME
    }
    message = error.get("message")
    return {**short, "message": cut(message)} if isinstance(message, str) else short


class Unfinished(httpx.RemoteProtocolError):
    """An answer that is none; the text says why."""


def unknown_end(reason: Any) -> str:
    """The sentence about an answer that ended in a way that isn't one of an API's."""
    if reason == "error":
        return "The provider failed before its answer was complete."
    return f"The provider ended its answer with the finish reason {json.dumps(str(reason)[:64])}, which is unknown."


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield each event of a stream as soon as its blank line is there, and at last what is left."""
    rest, looked = b"", 0
    async for piece in pieces:
        rest += piece
        start = 0
        while found := _BLANK_LINE.search(rest, max(start, looked)):
            yield rest[start : found.end()]
            start = looked = found.end()
        rest = rest[start:]
        looked = max(0, len(rest) - 3)
    if rest:
        yield rest


def data_of(event: bytes) -> str:
    """The data of an event, its lines joined; empty where it has none."""
    lines = re.split(r"\r\n|\r|\n", event.decode("utf-8", "replace").removeprefix("\ufeff"))
    return "\n".join(line[5:].removeprefix(" ") for line in lines if line.startswith("data:"))


async def repaired(pieces: AsyncIterator[bytes], *, translated: bool) -> AsyncIterator[bytes]:
    """The stream as LiteLLM can read it; raises `Unfinished` where it ends without an end.

    `translated`: LiteLLM makes another dialect's events of it, whose calls of tools come one after another.
    """
    chunks = Chunks(translated=translated)
    counts = False
    async for event in events(pieces):
        data = data_of(event)
        if data.strip() == "[DONE]":
            chunks.check_end()
            if not counts:
                yield event_of(chunks.without_usage)
            yield event
            return
        document = parsed(data)
        if not isinstance(document, dict):
            yield event
            continue
        if isinstance(usage := document.get("usage"), dict):
            counts = True
            if not translated:
                document["usage"] = quoted(usage)
                event = event_of(document)
        made = list(chunks.take(document))
        # Bytes that nobody has to change stay as they came; where LiteLLM reads a stream itself, it takes any line
        # with [DONE] in it for the end.
        if len(made) == 1 and made[0] is document and b"[DONE]" not in event:
            yield event
        else:
            for chunk in made:
                yield event_of(chunk)
        if chunks.failure:
            raise Unfinished(chunks.failure)
    chunks.check_end()
    if not counts:
        yield event_of(chunks.without_usage)


def event_of(chunk: Chunk) -> bytes:
    """Write a chunk as an event; text that says [DONE] is escaped, which LiteLLM would take for the end."""
    text = json.dumps(chunk).replace("[DONE]", r"\u005bDONE]")
    return f"data: {text}\n\n".encode()


def marked(usage: Chunk, mark: str, value: Any = True) -> Chunk:
    """Mark a usage where every LiteLLM leaves what it doesn't know: among the details of the prompt's tokens."""
    details = usage.get("prompt_tokens_details")
    return {**usage, "prompt_tokens_details": {**(details if isinstance(details, dict) else {}), mark: value}}


def quoted(usage: Any) -> Any:
    """Mark a usage with what is written in it; return anything else as it is."""
    return marked(usage, WRITTEN, json.dumps(usage)) if isinstance(usage, dict) else usage


def parsed(text: str | bytes) -> Any:
    """Read JSON; None for what is none, and for null."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class _Call:
    """A call of a tool as far as it has come: the index that it goes under, and whether its name has gone."""

    index: int
    id: str
    name: str
    arguments: str = ""

    def complete(self) -> bool:
        return isinstance(parsed(self.arguments), dict)


@dataclass(slots=True)
class _Choice:
    """Holds what one choice has said so far."""

    calls: list[_Call] = field(default_factory=list)
    by_index: dict[Any, _Call] = field(default_factory=dict)
    held: list[tuple[_Call, Chunk]] = field(default_factory=list)
    open: _Call | None = None
    refused: bool = False
    finished: bool = False


class Chunks:
    """Takes the chunks of one answer, one after another, and gives what LiteLLM is to read instead."""

    def __init__(self, *, translated: bool) -> None:
        self._translated = translated
        self._choices: dict[Any, _Choice] = {}
        self._failed = False
        self.without_usage: Chunk = {}
        """The chunk that stands for a usage which the provider did not give."""
        self.failure = ""
        """Why no chunk is to follow; empty while all is well."""

    def check_end(self) -> None:
        """Return when every choice has come to its end, else raise `Unfinished`."""
        if self._failed or (self._choices and all(choice.finished for choice in self._choices.values())):
            return
        raise Unfinished(UNFINISHED if self._choices else UNREADABLE)

    def take(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunks that stand for `chunk`: itself, where nothing is wrong with it."""
        if chunk.get("error"):
            self._failed = True  # LiteLLM says so
            short = short_error(chunk["error"])
            chunk = chunk if short is chunk["error"] else {**chunk, "error": short}
        if not self.without_usage:
            none = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            # Another dialect has to have a number, and no place for a mark.
            usage = none if self._translated else marked(none, NO_USAGE)
            self.without_usage = {**chunk, "choices": [], "usage": usage}
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or self._failed:
            yield chunk
            return
        if len(choices) == 1 and isinstance(choices[0], dict):
            yield from self._one(chunk, choices[0])
            return
        changed = []
        for choice in choices:
            parts = [p["choices"][0] for p in self._one(chunk, choice)] if isinstance(choice, dict) else []
            changed += parts
        yield {**chunk, "choices": changed}

    def _one(self, chunk: Chunk, choice: Chunk) -> Iterator[Chunk]:
        """The chunks that stand for this choice of `chunk`."""
        seen = self._choices.setdefault(choice.get("index", 0), _Choice())
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        reason = choice.get("finish_reason")
        if reason and reason not in FINISH_REASONS:
            if isinstance(choice.get("error"), dict):
                self._failed = True
                yield {**chunk, "error": short_error(choice["error"])}
                return
            self.failure = unknown_end(reason)
            reason = None
        seen.finished = seen.finished or bool(reason)
        calls = delta.get("tool_calls")
        parts = self._parts(chunk, seen, calls) if isinstance(calls, list) else []
        refusal = delta.get("refusal")
        seen.refused = seen.refused or bool(refusal)
        if reason and seen.held:
            parts += [part for _, part in seen.held]
            seen.held = []
        wanted = {name: value for name, value in delta.items() if name != "refusal" or not refusal}
        if refusal and self._translated:
            wanted["content"] = (wanted.get("content") or "") + refusal
        elif refusal:
            wanted["provider_specific_fields"] = {"refusal": refusal}
        if seen.refused and reason and self._translated:
            reason = "content_filter"
        wanted.pop("tool_calls", None)
        if not self._translated:
            if isinstance(calls, list):
                wanted["tool_calls"] = parts
            deltas = [wanted]
        else:
            said = any(value for name, value in wanted.items() if name != "role")
            deltas = [wanted] if said or not parts else []
            deltas += [{"tool_calls": [part]} for part in parts]
            if deltas and "role" in wanted:
                deltas[0]["role"] = wanted["role"]
        yield from self._chunks_of(chunk, choice, deltas, reason)

    def _chunks_of(self, chunk: Chunk, choice: Chunk, deltas: list[Chunk], reason: Any) -> Iterator[Chunk]:
        if not deltas and reason:
            deltas = [{}]
        if len(deltas) == 1 and deltas[0] == choice.get("delta") and reason == choice.get("finish_reason"):
            yield chunk
            return
        apart = len(deltas) > 1 and reason and any(deltas)
        for number, delta in enumerate(deltas):
            last = number == len(deltas) - 1 and not apart
            yield {
                **chunk,
                "choices": [{**choice, "delta": delta, "finish_reason": reason if last else None}],
            }
        if apart:
            yield {**chunk, "choices": [{**choice, "delta": {}, "finish_reason": reason}]}

    def _parts(self, chunk: Chunk, seen: _Choice, entries: list[Any]) -> list[Chunk]:
        """The entries of `tool_calls` as they are to go on now."""
        parts: list[Chunk] = []
        for position, entry in enumerate(entries):
            if not isinstance(entry, dict):
                continue
            function = entry.get("function")
            function = {**function} if isinstance(function, dict) else {}
            if not isinstance(arguments := function.get("arguments"), str | None):
                function["arguments"] = json.dumps(arguments)
            alone = len(entries) == 1
            call, new = _call_of(chunk, seen, entry, function, None if alone else position)
            part = {**entry, "index": call.index, "function": function}
            if new:
                part["id"] = call.id
            else:
                part.pop("id", None)
                function.pop("name", None)
            if "function" not in entry and not function:
                part.pop("function")
            call.arguments += function.get("arguments") or ""
            parts += self._in_turn(seen, call, part)
        return parts

    def _in_turn(self, seen: _Choice, call: _Call, part: Chunk) -> list[Chunk]:
        """Return what may go on once `part` has come: for another dialect a call waits for the one before it."""
        if not self._translated:
            return [part]
        if seen.open is None or seen.open is call:
            seen.open = call
            going = [part]
        else:
            seen.held.append((call, part))
            going = []
        while seen.held and seen.open is not None and seen.open.complete():
            seen.open = seen.held[0][0]
            going += [part for held, part in seen.held if held is seen.open]
            seen.held = [(held, part) for held, part in seen.held if held is not seen.open]
        return going


def _call_of(
    chunk: Chunk, seen: _Choice, entry: Chunk, function: Chunk, position: int | None
) -> tuple[_Call, bool]:
    """The call that an entry of `tool_calls` is a piece of, and whether it begins with it."""
    given, index = entry.get("id"), entry.get("index")
    custom = entry.get("custom")
    name = function.get("name") or (custom.get("name") if isinstance(custom, dict) else None)
    same = next((call for call in seen.calls if given and call.id == given), None)
    if same is not None:
        return same, False
    if index is not None:
        current = seen.by_index.get(index)
    elif position is not None and not given and not name:
        current = seen.calls[position] if position < len(seen.calls) else None
    else:
        current = seen.calls[-1] if seen.calls else None
    if current is not None:
        goes_on = not name or (not given and name == current.name and not current.complete())
        if goes_on:
            return current, False
    taken = {call.index for call in seen.calls}
    own = index if isinstance(index, int) and index not in taken else max(taken, default=-1) + 1
    made_up = "call_" + uuid.uuid5(uuid.NAMESPACE_OID, f"{chunk.get('id')} {own}").hex[:24]
    call = _Call(own, str(given or made_up), str(name or ""))
    seen.calls.append(call)
    seen.by_index[own if index is None else index] = call
    return call, True

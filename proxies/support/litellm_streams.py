"""Keeps what LiteLLM remembers of a stream small.

LiteLLM keeps each chunk until the stream has ended, and puts all of them together on the event loop when the client
leaves before: 0.1 ms a chunk, during which nobody else is served. Pieces of the same text are one chunk here, and so
are the events of a message of Claude's, of which LiteLLM keeps the bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from proxies.support.changed_once import change, loaded

MOST = 512
"""Chunks that are kept as they came before pieces of the same text are joined."""

_LAST = 2
"""Chunks at the end which LiteLLM compares with each other."""

LARGE = 64 * 1024
"""Bytes of a message's events from which on they are joined."""

_TEXTS = frozenset({"content", "reasoning_content"})
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta", "partial_json": "input_json_delta"}
_TEXT = rb'[^"\\]*(?:\\.[^"\\]*)*'
_IS_TEXT = re.compile(_TEXT, re.DOTALL).fullmatch
_NAMED = re.compile(rb'"(?:text|thinking|partial_json)"\s*:\s*"(' + _TEXT + rb')"', re.DOTALL)


class Kept(list[Any]):
    """The chunks of a stream, which joins those that are pieces of the same text when there are many."""

    _most = MOST

    def append(self, chunk: Any) -> None:
        super().append(chunk)
        if len(self) > self._most:
            self[:-_LAST] = joined(self[:-_LAST])
            self._most = max(MOST, 2 * len(self))


def keep_little() -> None:
    """Change the streams of the LiteLLM of this process, once; it has to have been imported."""
    change(
        loaded("litellm.litellm_core_utils.streaming_handler", "CustomStreamWrapper"), "__init__", _keeping
    )
    events = loaded("litellm.proxy.pass_through_endpoints.streaming_handler", "PassThroughStreamingHandler")
    for name in ("route_streaming_logging_to_handler", "schedule_stream_failure_logging"):
        change(events, name, _joining, staticmethod)
    change(loaded("litellm.proxy.utils"), "served_stream_output_texts", _joining_first)


def _keeping(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        if type(getattr(self, "chunks", None)) is list:
            self.chunks = Kept(self.chunks)

    return __init__


def _joining(original: Any) -> Any:
    async def log(*args: Any, **options: Any) -> Any:
        came = options.get("raw_bytes") or ()
        if sum(map(len, came)) > LARGE:
            options["raw_bytes"] = await asyncio.to_thread(joined_events, came)
        return await original(*args, **options)

    return log


def _joining_first(original: Any) -> Any:
    """Have the events joined first that it looks at, on the event loop, once a client was sent them all."""

    def texts(chunks: Any) -> Any:
        if all(isinstance(chunk, bytes) for chunk in chunks) and sum(map(len, chunks)) > LARGE:
            chunks = joined_events(chunks)
        return original(chunks)

    return texts


def joined_events(came: Iterable[bytes]) -> list[bytes]:
    """The events of a stream, those that follow each other with pieces of the same block of a message as one."""
    made: list[bytes] = []
    events = _joined_alike(b"".join(came))
    for place, run in groupby(map(_piece, events), lambda piece: piece[0]):
        first, *others = run
        _, whole, name, _ = first
        if place is None or not others:
            made += [event + b"\n\n" for _, _, _, event in (first, *others) if event]
            continue
        whole["delta"][name] = "".join(piece["delta"][name] for _, piece, _, _ in (first, *others))
        made.append(f"event: {whole['type']}\ndata: {json.dumps(whole)}\n\n".encode())
    return made


def _joined_alike(stream: bytes) -> Iterator[bytes]:
    """The events without the empty line after each; those that differ in the text of a piece alone are one.

    Only the first of them is read as JSON: reading each takes ten times as long.
    """
    events = stream.split(b"\n\n")
    at = 0
    while at < len(events):
        event = events[at]
        at += 1
        found = list(_NAMED.finditer(event)) if _piece(event)[0] else []
        if len(found) == 1:
            before, after = event[: found[0].start(1)], event[found[0].end(1) :]
            texts, end = [found[0][1]], at
            while end < len(events) and (text := _between(before, events[end], after)) is not None:
                texts.append(text)
                end += 1
            whole = b"".join(texts)
            if end > at and _is_string(whole):
                event, at = before + whole + after, end
        yield event


def _between(before: bytes, event: bytes, after: bytes) -> bytes | None:
    """The text of an event that is as another one but for it."""
    if len(event) < len(before) + len(after) or not (event.startswith(before) and event.endswith(after)):
        return None
    text = event[len(before) : -len(after)]
    return text if _IS_TEXT(text) else None


def _is_string(text: bytes) -> bool:
    try:
        return isinstance(json.loads(b'"' + text + b'"'), str)
    except ValueError:
        return False


def _piece(event: bytes) -> tuple[tuple[Any, str] | None, Any, str, bytes]:
    """Where an event's piece of a block goes, None where it is none; its data, the name of the text, and its bytes."""
    if b"content_block_delta" in event:
        try:
            data = json.loads(event.partition(b"data:")[2])
            delta = data["delta"]
            for name in ("text", "thinking", "partial_json"):
                if delta["type"] == _DELTAS[name] and isinstance(delta[name], str):
                    return (data.get("index"), name), data, name, event
        except (ValueError, LookupError, TypeError, RecursionError):
            pass  # LiteLLM says so, or doesn't care
    return None, None, "", event


def joined(chunks: Iterable[Any]) -> list[Any]:
    """The chunks, those that follow each other with pieces of the same text as one."""
    made: list[Any] = []
    for place, run in groupby(chunks, _place):
        first, *others = run
        if place is None or not others:
            made += [first, *others]
            continue
        _, name = place
        whole = first.model_copy(deep=True)
        text = "".join(getattr(chunk.choices[0].delta, name) for chunk in (first, *others))
        setattr(whole.choices[0].delta, name, text)
        made.append(whole)
    return made


def _place(chunk: Any) -> tuple[Any, str] | None:
    """The choice and the kind of text that a chunk is a piece of; None where it says anything else."""
    choices = getattr(chunk, "choices", None)
    beside = any(getattr(chunk, name, None) is not None for name in ("usage", "provider_specific_fields"))
    if not choices or len(choices) != 1 or beside:
        return None
    choice = choices[0]
    if choice.finish_reason is not None or getattr(choice, "logprobs", None) is not None:
        return None
    delta = choice.delta
    given = {**vars(delta), **(delta.model_extra or {})}
    said = {name for name, value in given.items() if value is not None and name != "role"}
    [name] = said if len(said) == 1 else [""]
    return (choice.index, name) if name in _TEXTS else None

"""Says a scenario's reply, which is written on OpenAI's wire, in the dialect that a request's path asks for.

    POST …/models/MODEL:generateContent                   Gemini's, an answer
    POST …/models/MODEL:streamGenerateContent?alt=sse     Gemini's, a stream; without `alt=sse` a list of its items
    POST …/api/chat                                       Ollama's, a stream of lines unless `"stream": false`
    GET  …/v1beta/models, …/api/tags                      the scenarios as models

Pauses, cuts, resets, statuses and headers stay those of the scenario. What a dialect can't say is a 400 that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from parity.catalogue.scenario import ProviderReply, SseEvent
from parity.provider import gemini, ollama
from parity.provider.meant import Failure, Said, Unsayable, answer_of, message_of, stream_of

GEMINI = (":generateContent", ":streamGenerateContent")
_LISTS: dict[str, Callable[[Iterable[str]], Any]] = {
    "v1beta/models": gemini.models,
    "api/tags": ollama.models,
}


@dataclass(frozen=True)
class Dialect:
    """Holds how an answer and a failure are said, and how items of a stream are sent."""

    said: Callable[[Said, str], Any]
    failure: Callable[[int, str], Any]
    form: str
    """One of `answer`, `sse`, `lines`, `list`."""


def dialect_of(target: str, body: Any) -> Dialect | None:
    """Return the dialect of a request's path and query; None where it is OpenAI's or Anthropic's."""
    path, _, query = target.partition("?")
    if path.endswith(GEMINI):
        streams = path.endswith(GEMINI[1])
        items = "sse" if parse_qs(query).get("alt") == ["sse"] else "list"
        return Dialect(gemini.said, gemini.failure, items if streams else "answer")
    if path == "api/chat" or path.endswith("/api/chat"):
        streams = not (isinstance(body, dict) and body.get("stream") is False)
        return Dialect(ollama.said, ollama.failure, "lines" if streams else "answer")
    return None


def models_of(method: str, target: str, scenarios: Iterable[str]) -> ProviderReply | None:
    """List the scenarios as models, where a request asks one of these dialects for them."""
    path = target.partition("?")[0]
    found = next((_LISTS[end] for end in _LISTS if path.endswith(f"/{end}")), None)
    return ProviderReply(json=found(scenarios)) if found is not None and method == "GET" else None


def translated(reply: ProviderReply, dialect: Dialect, scenario: str) -> ProviderReply:
    """Return a scenario's reply in a dialect."""
    if reply.fault is not None or reply.text is not None:
        return reply
    if reply.status >= 400:
        error = reply.json_.get("error", reply.json_) if isinstance(reply.json_, dict) else reply.json_
        return _with(reply, dialect.failure(reply.status, message_of(error)))
    try:
        if dialect.form == "answer":
            if reply.sse is not None:
                raise Unsayable("its provider streams: ask it for a stream")
            return _with(reply, dialect.said(answer_of(reply.json_), scenario))
        items = list(_items(reply, dialect, scenario))
    except Unsayable as error:
        return ProviderReply(
            status=400,
            json=dialect.failure(400, f"stub provider: of {scenario} nothing can be said: {error}"),
        )
    if dialect.form == "list":
        return _with(reply, [item.data for item in items if item.data is not None])
    if dialect.form == "lines":
        headers = {**reply.headers, "content-type": ollama.NDJSON}
        lines = [_line(item) for item in items if item.comment is None]
        return reply.model_copy(update={"json_": None, "sse": lines, "headers": headers})
    return reply.model_copy(update={"json_": None, "sse": items})


def _with(reply: ProviderReply, body: Any) -> ProviderReply:
    return reply.model_copy(update={"json_": body, "sse": None})


def _items(reply: ProviderReply, dialect: Dialect, scenario: str) -> Iterator[SseEvent]:
    given = [answer_of(reply.json_)] if reply.sse is None else stream_of(reply.sse)
    for item in given:
        match item:
            case Said():
                yield SseEvent(data=dialect.said(item, scenario))
            case Failure():
                yield SseEvent(data=dialect.failure(500, item.message))
            case _:
                yield item


def _line(item: SseEvent) -> SseEvent:
    if item.data is None:
        return item
    text = item.data if isinstance(item.data, str) else json.dumps(item.data, ensure_ascii=False)
    return SseEvent(raw=f"{text}\n")

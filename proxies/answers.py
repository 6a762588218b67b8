"""Mends a provider's answer before LiteLLM reads it, where LiteLLM would lose, invent or stumble over something.

provider ── guard (`proxies.egress`) ── mended ──> LiteLLM
              ├─ an error     in whichever shape: its sentence where OpenAI has it
              ├─ a whole      no completion, or one that did not end as it should: a 502 of ours
              └─ a stream     its chunks repaired (`proxies.chunks`); a whole answer instead of it becomes one

Messages of Claude's that become another dialect's answers are looked at in `proxies.claude_messages`.

It imports httpx alone, as `proxies.egress` does, since it runs in the LiteLLM process, too.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import httpx

from proxies.chunks import (
    FINISH_REASONS,
    MOST_SENTENCE,
    UNREADABLE,
    Unfinished,
    cut,
    data_of,
    event_of,
    events,
    parsed,
    quoted,
    repaired,
    short_error,
    unknown_end,
)
from proxies.claude_messages import mended_events, mended_message, message_events

Json = Any

_route: ContextVar[str] = ContextVar("route", default="")
_USAGE_WANTED = re.compile(rb'"include_usage"\s*:\s*true')
_OPENAI_PACKAGE = "x-stainless-lang"
"""The header by which a request of the openai package is known."""

_MOST_ERROR = 1024 * 1024

_HEADS = (b"data:", b"event:", b":", b"id:", b"retry:")


@contextlib.contextmanager
def asked_at(route: str) -> Iterator[None]:
    """Note the route that the client asked at: calls inside are answered for it, in its dialect."""
    token = _route.set(route)
    try:
        yield
    finally:
        _route.reset(token)


def upstream_kind(request: httpx.Request) -> str:
    """How the provider was asked: by the name of a route of ours, or an empty text for another way."""
    path = request.url.path.rstrip("/")
    known = ("chat/completions", "messages", "responses") if request.method == "POST" else ()
    return next((kind for kind in known if path.endswith(f"/{kind}")), "")


def translated(kind: str) -> bool:
    """Whether LiteLLM makes another dialect's answer of one of this kind, for the client that asked."""
    route = _route.get()
    return bool(route) and not route.endswith(kind)


_PLACEHOLDER = "[System: Empty message content sanitised to satisfy protocol]"
_DUMMY = "dummy_tool"


_PDF = "data:application/pdf;base64,"


def mended_request(kind: str, body: bytes) -> bytes:
    """A request without what LiteLLM has made up, and with a PDF as the file that it is.

    Made up are a text for a turn without one, a tool for a history; a PDF of a message it calls a picture.
    """
    pictured = kind == "chat/completions" and translated(kind) and _PDF.encode() in body
    if not pictured and _PLACEHOLDER.encode() not in body and _DUMMY.encode() not in body:
        return body
    document = parsed(body)
    if not isinstance(document, dict):
        return body
    if pictured:
        for message in document.get("messages") or ():
            if isinstance(message, dict) and isinstance(content := message.get("content"), list):
                message["content"] = [_with_pdf(part) for part in content]
    tools = document.get("tools")
    if (
        isinstance(tools, list)
        and len(tools) == 1
        and isinstance(tools[0], dict)
        and tools[0].get("name") == _DUMMY
    ):
        del document["tools"]
    messages = document.get("messages")
    if isinstance(messages, list):
        document["messages"] = [
            left for message in messages if (left := _without_placeholder(message)) is not None
        ]
    return json.dumps(document).encode()


def _with_pdf(part: Json) -> Json:
    """The part as a file, where it is a PDF that is called a picture."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith(_PDF):
            return {"type": "file", "file": {"filename": "document.pdf", "file_data": url}}
    return part


def _without_placeholder(message: Json) -> Json:
    """The message without made-up blocks; None where nothing is left of it."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not (isinstance(block, dict) and block.get("text") == _PLACEHOLDER)]
    return {**message, "content": kept} if kept or not content else None


def mended_error(body: bytes) -> bytes:
    """The body of an error, with its sentence where OpenAI has it; what has it there already, and a page, as it is.

    None of it is longer than `MOST_SENTENCE` says, of a page the beginning; a megabyte isn't looked at.
    """
    if len(body) > _MOST_ERROR:
        return _beginning(body)
    found = _with_sentence(body)
    if len(found) <= MOST_SENTENCE:
        return found
    document = parsed(found)
    if not isinstance(document, dict) or not isinstance(document.get("error"), dict | str):
        return _beginning(found)
    short = {"error": short_error(document["error"])}
    return json.dumps({"type": "error", **short} if document.get("type") == "error" else short).encode()


def _beginning(page: bytes) -> bytes:
    return cut(page[: 2 * MOST_SENTENCE].decode("utf-8", "replace")).encode()


def _with_sentence(body: bytes) -> bytes:
    document = parsed(body)
    if document is None or (isinstance(document, dict) and _has_sentence(document.get("error"))):
        return body
    found = _sentence(document)
    if not found or isinstance(document, str):
        return body
    about = _about(document)
    error: dict[str, Json] = {
        "message": found,
        "type": _text(about, "type", "status"),
        "param": _text(about, "param"),
    }
    code = about.get("code")
    error["code"] = code if isinstance(code, str | int) and not isinstance(code, bool) else None
    return json.dumps({"error": error}).encode()


def mended_whole(kind: str, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, str]:
    """A successful answer as LiteLLM can read it, and, where there is none in it, the sentence of a failure.

    `headers` are the request's. What LiteLLM asks without the openai package, Groq say, it doesn't read without a
    service tier, so there it gets one, null.
    """
    if body.lstrip().startswith(_HEADS):
        return body, UNREADABLE
    document = parsed(body)
    if not isinstance(document, dict):
        return body, ""  # LiteLLM says so
    if (
        kind == "chat/completions"
        and not document.get("choices")
        and (said := _sentence(document.get("error")))
    ):
        return body, said
    if kind == "chat/completions":
        return _mended_completion(
            body,
            document,
            translated(kind),
            _OPENAI_PACKAGE not in headers and "service_tier" not in document,
        )
    return mended_message(body, document) if kind == "messages" and translated(kind) else (body, "")


def status_within(body: bytes) -> int:
    """The status that an error within a success names; without one it is 502."""
    document = parsed(body)
    error = document.get("error") if isinstance(document, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else 502


def as_stream(kind: str, body: bytes, request: bytes) -> tuple[bytes, str]:
    """The events that a whole answer would have come as, had it been streamed; else the sentence of a failure."""
    body, failure = mended_whole(kind, body, {_OPENAI_PACKAGE: ""})
    document = parsed(body)
    if failure or not isinstance(document, dict):
        return b"", failure or UNREADABLE
    if said := _sentence(document.get("error")):
        return b"", said
    if kind == "chat/completions" and document.get("choices"):
        usage = document.get("usage") if _USAGE_WANTED.search(request) else None
        return _chunks_of(document, usage if translated(kind) else quoted(usage)), ""
    if kind == "messages" and document.get("type") == "message":
        return message_events(document), ""
    return b"", UNREADABLE


class Resumed(httpx.AsyncByteStream):
    """A body whose beginning has been looked at."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body
        self._pieces = aiter(body)
        self._start = b""

    async def is_json(self) -> bool:
        """Whether it begins as an object or a list does, once there is anything of it."""
        while not self._start.strip() and (piece := await anext(self._pieces, b"")):
            self._start += piece
        return self._start.lstrip().startswith((b"{", b"["))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._start:
            yield self._start
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


class MendedStream(httpx.AsyncByteStream):
    """The body of a stream, repaired as it comes."""

    def __init__(self, body: httpx.AsyncByteStream, kind: str) -> None:
        self._body = body
        pieces = aiter(body)
        match kind:
            case "chat/completions":
                self._pieces = repaired(pieces, translated=translated(kind))
            case "messages" if translated(kind):
                self._pieces = mended_events(pieces)
            case "responses":
                self._pieces = _named(pieces)
            case _:  # Anthropic's for a client of Anthropic's, which the front looks at
                self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._body.aclose()


async def _named(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """OpenAI's events; raises `Unfinished` for those of another API."""
    async for event in events(pieces):
        document = parsed(data_of(event))
        if isinstance(document, dict) and "type" not in document and "error" not in document:
            raise Unfinished(UNREADABLE)
        yield event


def _mended_completion(
    body: bytes, document: dict[str, Json], for_others: bool, without_tier: bool
) -> tuple[bytes, str]:
    choices = document.get("choices")
    if not isinstance(choices, list):
        return body, ""
    if changed := without_tier:
        document["service_tier"] = None
    for choice in choices:
        if not isinstance(choice, dict):
            return body, UNREADABLE
        reason = choice.get("finish_reason")
        if reason is not None and reason not in FINISH_REASONS:
            error = choice.get("error")
            return body, _sentence(error) or unknown_end(reason)
        message = choice.get("message")
        calls = message.get("tool_calls") or [] if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(calls, list):
            return body, UNREADABLE
        if for_others and not all(map(_callable, calls)):
            return body, UNREADABLE
        # Unless it is told that there is no reasoning, LiteLLM cuts what looks like some out of the text.
        if isinstance(content := message.get("content"), str) and "<" in content:
            changed = changed or not {"reasoning_content", "reasoning"} & message.keys()
            message.setdefault("reasoning_content", message.get("reasoning"))
    return (json.dumps(document).encode() if changed else body), ""


def _callable(call: Json) -> bool:
    """Whether the arguments of a call are an object, as other dialects have them."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return not arguments or isinstance(arguments, dict) or isinstance(parsed(str(arguments)), dict)


def _chunks_of(document: dict[str, Json], usage: Json) -> bytes:
    shared: dict[str, Json] = {
        name: document[name] for name in ("id", "created", "model", "system_fingerprint") if name in document
    }
    shared["object"] = "chat.completion.chunk"
    chunks = []
    for choice in document["choices"]:
        message = choice.get("message") or {}
        delta = {name: value for name, value in message.items() if value is not None}
        calls = message.get("tool_calls") or ()
        if calls:
            delta["tool_calls"] = [{**call, "index": number} for number, call in enumerate(calls)]
        index = choice.get("index", 0)
        chunks.append({**shared, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        reason = choice.get("finish_reason") or ("tool_calls" if calls else "stop")
        chunks.append({**shared, "choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    if usage:
        chunks.append({**shared, "choices": [], "usage": usage})
    return b"".join(map(event_of, chunks)) + b"data: [DONE]\n\n"


_SENTENCES = (
    "message", "msg", "detail", "error_description", "error_message", "errorMessage", "error_msg", "description",
    "faultstring", "status_msg", "reason", "title",
)  # fmt: skip
_HOLDERS = ("error", "errors", "fault", "detail", "message", "data", "response", "base_resp")


def _sentence(document: Json) -> str:
    """The sentence in an error of any shape; empty where there is none."""
    return cut(_said(document))


def _said(document: Json, depth: int = 0) -> str:
    if depth > 4:
        return ""
    if isinstance(document, str):
        return document.strip()
    if isinstance(document, list):
        found = [said for item in document[:20] if (said := _said(item, depth + 1))]
        return "; ".join(dict.fromkeys(found))
    if not isinstance(document, dict):
        return ""
    error = document.get("error")
    if isinstance(error, dict | list) and (said := _said(error, depth + 1)):
        return said
    for name in _SENTENCES:
        for key, value in document.items():
            if key.lower() == name.lower() and isinstance(value, str) and value.strip():
                return value
    for name in _HOLDERS:
        if said := _said(document.get(name), depth + 1):
            return said
    return ""


def _about(document: Json) -> dict[str, Json]:
    """The object that says the most of an error: the first one of a list, what stands under `error`."""
    while isinstance(document, list):
        document = document[0] if document else {}
    if not isinstance(document, dict):
        return {}
    inner = document.get("error")
    return _about(inner) if isinstance(inner, dict | list) else document


def _text(about: dict[str, Json], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := about.get(name), str)), None)


def _has_sentence(error: Json) -> bool:
    return (
        isinstance(error, dict) and isinstance(error.get("message"), str) and bool(error["message"].strip())
    )

"""Holds the workloads: what a client sends, and the recorded bytes that the upstream answers with.

Answers are those of the catalogue's providers. Some names hold a size, as in `prompt-100` (kB), `stream-200` (chunks),
`paced-50` (chunks, 10 ms apart) and `agent-50` (turns); any other size is a workload, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from parity.catalogue import loading
from parity.catalogue.scenario import ProviderReply, Scenario, SseEvent

PACE = 0.01
"""The seconds between two chunks of a paced stream."""
USER = "bench-user"
SEED = "memory-seed"
"""The name of the model whose answers the embedded store learns from, so that there is something to find."""

DEFAULT = (
    "chat",
    "prompt-100",
    "stream-200",
    "paced-50",
    "error",
    "memory-embedded",
    "memory-supermemory",
    "messages",
    "agent-50",
)
_SIZED = re.compile(r"(prompt|stream|paced|agent)-([1-9][0-9]{0,4})")


class WorkloadError(Exception):
    """Reports a workload that there isn't."""


@dataclass(frozen=True)
class Workload:
    """Holds one workload. `pieces` are the writes of the upstream's answer, its head among them."""

    name: str
    title: str
    body: dict[str, Any]
    pieces: tuple[bytes, ...]
    status: int = 200
    path: str = "/v1/chat/completions"
    wire: str = "openai"
    model: str = "gpt-4o-mini"
    chunks: int = 0
    pace: float = 0.0
    must: str = ""
    """Stands in every answer of a subject that does what it should, in its head or its body."""
    headers: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] | None = None
    memory_answer: bytes = b""

    def request(self, model: str) -> bytes:
        """Return the body as sent to a subject that calls it `model`."""
        return json.dumps({"model": model, **self.body}, separators=(",", ":")).encode()


def find(name: str) -> Workload:
    """Return the workload of a name. Raises `WorkloadError`."""
    if name in _PLAIN:
        return _PLAIN[name]()
    if sized := _SIZED.fullmatch(name):
        return _OF_SIZE[sized[1]](int(sized[2]))
    known = ", ".join(DEFAULT)
    raise WorkloadError(
        f"no workload {name!r}; there are {known}, and prompt-, stream-, paced- and agent- with other sizes"
    )


@cache
def _scenario(file: str, name: str) -> Scenario:
    return loading.Catalogue.load((loading.BUILT_IN / file,))[name]


def _whole(reply: ProviderReply) -> tuple[bytes, ...]:
    body = json.dumps(reply.json_, ensure_ascii=False, separators=(",", ":")).encode()
    head = (
        f"HTTP/1.1 {reply.status} R\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return (head.encode() + body,)


def _events(events: list[SseEvent]) -> tuple[bytes, ...]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    pieces = [head]
    for event in events:
        data = event.data if isinstance(event.data, str) else json.dumps(event.data, separators=(",", ":"))
        frame = f"data: {data}\n\n".encode()
        pieces.append(b"%x\r\n%s\r\n" % (len(frame), frame))
    pieces[-1] += b"0\r\n\r\n"
    return tuple(pieces)


def _question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _plain() -> tuple[tuple[bytes, ...], str]:
    reply = _scenario("chat/plain.yaml", "chat.plain").provider[0]
    return _whole(reply), "How can I assist you today?"


def _chat() -> Workload:
    pieces, must = _plain()
    return Workload("chat", "a small chat", _question("Say hello."), pieces, must=must)


def _prompt(kilobytes: int) -> Workload:
    pieces, must = _plain()
    text = ("The quick brown fox jumps over the lazy dog. " * (kilobytes * 23))[: kilobytes * 1000]
    title = f"a prompt of {kilobytes} kB"
    return Workload(f"prompt-{kilobytes}", title, _question(text), pieces, must=must)


def _streamed(name: str, title: str, count: int, pace: float) -> Workload:
    recorded = _scenario("streaming/long.yaml", "streaming.long").provider[0].sse or []
    first, *words = [event for event in recorded if isinstance(event.data, dict)]
    last, words = words[-1], words[:-1]
    middle = [words[number % len(words)] for number in range(max(0, count - 3))]
    events = [first, *middle, last, SseEvent(data="[DONE]")]
    body = {**_question("Tell me something long."), "stream": True}
    return Workload(name, title, body, _events(events), chunks=len(events), pace=pace, must="data: [DONE]")


def _stream(count: int) -> Workload:
    return _streamed(f"stream-{count}", f"a stream of {count} chunks, sent at once", count, 0)


def _paced(count: int) -> Workload:
    title = f"a stream of {count} chunks, {PACE * 1000:g} ms apart"
    return _streamed(f"paced-{count}", title, count, PACE)


def _error() -> Workload:
    reply = _scenario("errors/openai_status.yaml", "errors.openai_status[400]").provider[0]
    title = "a request that the provider refuses"
    body = {**_question("Hello."), "temperature": 1.5}
    return Workload("error", title, body, _whole(reply), reply.status, must="decimal above maximum value")


def _messages() -> Workload:
    reply = _scenario("messages/plain.yaml", "messages.plain").provider[0]
    body = {"max_tokens": 64, **_question("Hello?")}
    return Workload(
        "messages",
        "a small message in Anthropic's API",
        body,
        _whole(reply),
        path="/v1/messages",
        wire="anthropic",
        model="claude-sonnet-4-5-20250929",
        must="How can I help?",
    )


def _agent(turns: int) -> Workload:
    recorded = _scenario("chat/tool_result.yaml", "chat.tool_result")
    loop: Any = recorded.client[0].json_
    asked, call, result = loop["messages"]
    history = []
    for turn in range(turns):
        number = f"call_{turn:024d}"
        [made] = call["tool_calls"]
        history += [asked, {**call, "tool_calls": [{**made, "id": number}]}]
        history += [{**result, "tool_call_id": number}]
    body = {"messages": history, "tools": loop["tools"]}
    title = f"an agent's history of {turns} turns with tools"
    return Workload(f"agent-{turns}", title, body, _whole(recorded.provider[0]), must="It is 21")


def _remembered(name: str, title: str, memory: dict[str, Any], answer: bytes = b"") -> Workload:
    pieces, _ = _plain()
    return Workload(
        name,
        title,
        _question("Where do I live?"),
        pieces,
        must="x-memory: hit",
        headers={"x-memory-user-id": USER},
        memory={"enabled": True, **memory},
        memory_answer=answer,
    )


def _embedded() -> Workload:
    return _remembered(
        "memory-embedded",
        "a memory found in the embedded store",
        {"store": "embedded", "path": "memory.db"},
    )


def _supermemory() -> Workload:
    recorded = _scenario("context/query.yaml", "context.query[last_user]")
    return _remembered(
        "memory-supermemory",
        "a memory found at Supermemory, whose answer is recorded",
        {"store": "supermemory", "api_key": "sm_bench-key"},
        _whole(recorded.memory[0])[0],
    )


def _seed() -> Workload:
    made = _remembered(
        SEED,
        "what the embedded store is told before",
        {"store": "embedded", "path": "memory.db", "write_back": True},
    )
    return Workload(
        SEED, made.title, _question("I live in Oslo."), made.pieces, headers=made.headers, memory=made.memory
    )


_PLAIN: dict[str, Callable[[], Workload]] = {
    "chat": _chat,
    "error": _error,
    "messages": _messages,
    "memory-embedded": _embedded,
    "memory-supermemory": _supermemory,
    SEED: _seed,
}
_OF_SIZE: dict[str, Callable[[int], Workload]] = {
    "prompt": _prompt,
    "stream": _stream,
    "paced": _paced,
    "agent": _agent,
}

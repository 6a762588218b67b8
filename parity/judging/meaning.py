"""Takes from an answer what it means, whichever of the four APIs it is written in: texts, finish, calls, usage, error.

said    what a provider's reply means, from the scenario
heard   what the client was told, from the observation
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.observation.fold import fold
from parity.observation.model import Frame, Response, StreamMessage

Api = Literal["chat", "messages", "responses", "embeddings"]
_PATHS: dict[str, Api] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
}
LAST_EVENTS = ("message_stop", "response.completed", "response.incomplete")
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "completed": "stop",
    "max_output_tokens": "length",
    "refusal": "content_filter",
}
"""Translates the words of Anthropic's API and of responses into those of chat completions."""


@dataclass(frozen=True)
class Meaning:
    """Holds what one answer means. `whole`: it came to its proper end."""

    texts: list[str] = field(default_factory=list)
    finish: list[str | None] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    usage: Any = None
    error: str | None = None
    data: Any = None
    """Holds all that is compared as it is: embeddings, log probabilities, thinking."""
    whole: bool = True


def api_of(path: str) -> Api | None:
    """Return which API a request's path belongs to."""
    return _PATHS.get(path.partition("?")[0])


def wire_of(scenario: Scenario) -> Literal["openai", "anthropic"]:
    """Return whose wire the scenario's provider speaks: Groq and Together speak OpenAI's."""
    return "anthropic" if scenario.deployment.provider == "anthropic" else "openai"


def heard(response: Response, api: Api) -> Meaning | None:
    """Return the meaning of what a client received; None where it is no answer of this API."""
    if response.stream is not None:
        frames = [_named(frame) for frame in response.stream.frames]
        return _of_stream(fold(frames), response.stream.done or any(f.event in LAST_EVENTS for f in frames))
    return of_json(response.json_body, api)


def _named(frame: Frame) -> Frame:
    """Return an event with the name that its data gives it, where a gateway has lost the name."""
    kind = frame.data.get("type") if isinstance(frame.data, dict) else None
    return (
        frame.model_copy(update={"event": kind})
        if frame.event == "message" and isinstance(kind, str)
        else frame
    )


def said(reply: ProviderReply, api: Api) -> Meaning | None:
    """Return the meaning of a provider's reply; None where it is none of this API."""
    if reply.sse is None:
        return of_json(reply.json_, api)
    frames = list(frames_of(reply))
    done = any(f.data == "[DONE]" or f.event in LAST_EVENTS for f in frames)
    return _of_stream(fold(frames), done)


def frames_of(reply: ProviderReply) -> Iterator[Frame]:
    """Yield the frames of a provider's stream, up to where it is cut."""
    for event in reply.sse or []:
        if event.end is not None:
            return
        if event.data is not None:
            data: Any = event.data
            if isinstance(data, str):
                try:
                    data = json.loads(data)
                except ValueError:
                    data = event.data
            yield Frame(event=event.event or "message", data=data)


def _of_stream(message: StreamMessage, done: bool) -> Meaning:
    error = message.error
    text = error.get("message") if isinstance(error, dict) else error
    return Meaning(
        texts=[text for text in message.texts if text],
        finish=[_finish(reason) for reason in message.finish_reasons],
        calls=_calls(message.tool_calls),
        usage=_tokens(message.usage),
        error=None if error is None else str(text),
        data=[message.thinking, message.signature],
        whole=done,
    )


def of_json(body: Any, api: Api) -> Meaning | None:
    """Return the meaning of a plain answer; None for what lacks the one member that makes it one."""
    if not isinstance(body, dict):
        return None
    match api:
        case "chat":
            return _of_chat(body)
        case "messages":
            return _of_message(body)
        case "responses":
            return _of_response(body)
        case "embeddings":
            data = body.get("data")
            if not isinstance(data, list):
                return None
            vectors = [item.get("embedding") for item in data if isinstance(item, dict)]
            usage = _tokens(body.get("usage"))
            return Meaning(data=vectors, usage=usage and {"in": usage["in"]})


def _of_chat(body: dict[str, Any]) -> Meaning | None:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, dict) for c in choices):
        return None
    messages = [c.get("message") for c in choices]
    if not all(isinstance(m, dict) for m in messages):
        return None
    calls = [
        {"id": call.get("id"), **_function(call)}
        for call in messages[0].get("tool_calls") or []
        if isinstance(call, dict)
    ]
    return Meaning(
        texts=[m["content"] for m in messages if isinstance(m.get("content"), str) and m["content"]],
        finish=[_finish(c.get("finish_reason")) for c in choices],
        calls=_calls(calls),
        usage=_tokens(body.get("usage")),
        data=[_without_nulls(c.get("logprobs")) for c in choices],
    )


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    named = function if isinstance(function, dict) else {}
    return {"name": named.get("name"), "arguments": named.get("arguments")}


def _of_message(body: dict[str, Any]) -> Meaning | None:
    content = body.get("content")
    if body.get("type") != "message" or not isinstance(content, list):
        return None
    blocks = [block for block in content if isinstance(block, dict)]
    calls = [
        {"id": b.get("id"), "name": b.get("name"), "arguments": json.dumps(b.get("input"))}
        for b in blocks
        if b.get("type") == "tool_use"
    ]
    text = "".join(str(b.get("text", "")) for b in blocks if b.get("type") == "text")
    thinking = [(b.get("thinking"), b.get("signature")) for b in blocks if b.get("type") == "thinking"]
    return Meaning(
        texts=[text] if text else [],
        finish=[_finish(body.get("stop_reason"))],
        calls=_calls(calls),
        usage=_tokens(body.get("usage")),
        data=thinking,
    )


def _of_response(body: dict[str, Any]) -> Meaning | None:
    output = body.get("output")
    if not isinstance(output, list):
        return None
    items = [item for item in output if isinstance(item, dict)]
    parts = [
        p for i in items if i.get("type") == "message" for p in i.get("content") or [] if isinstance(p, dict)
    ]
    text = "".join(str(p.get("text", "")) for p in parts if p.get("type") == "output_text")
    why = body.get("incomplete_details")
    calls = [
        {"id": i.get("call_id"), "name": i.get("name"), "arguments": i.get("arguments")}
        for i in items
        if i.get("type") == "function_call"
    ]
    return Meaning(
        texts=[text] if text else [],
        finish=[_finish(why.get("reason") if isinstance(why, dict) else body.get("status"))],
        calls=_calls(calls),
        usage=_tokens(body.get("usage")),
    )


def _finish(reason: Any) -> str | None:
    return FINISH.get(reason, reason) if isinstance(reason, str) else None


def _calls(calls: list[Any]) -> list[Any]:
    """Return tool calls with their arguments parsed, so that white space in them means nothing."""
    done = []
    for call in calls:
        if isinstance(call, dict):
            try:
                arguments = json.loads(call.get("arguments") or "{}")
            except ValueError:
                arguments = call.get("arguments")
            done.append({**call, "arguments": arguments})
    return done


def _without_nulls(value: Any) -> Any:
    """Return a value without members that are null, which mean the same as none."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _tokens(usage: Any) -> Any:
    """Return tokens in and out, whatever the API calls them."""
    if not isinstance(usage, dict):
        return None
    into = usage.get("prompt_tokens", usage.get("input_tokens"))
    out = usage.get("completion_tokens", usage.get("output_tokens"))
    return {"in": into, "out": out}

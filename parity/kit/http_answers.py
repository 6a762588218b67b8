"""Builds answers as HTTP: a mocked client's response, and what the LiteLLM process would send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import httpx

from parity.kit import samples
from parity.kit.completion import Completion, Refusal, stream, whole
from parity.kit.samples import Route
from parity.recording.file import ProcessAnswer

Content = bytes | str | Mapping[str, Any] | Sequence[Any] | None

_TRANSFER = ("content-length", "transfer-encoding", "content-encoding")


class MockHTTPResponse(httpx.Response):
    """Builds a genuine `httpx.Response` in one line; it may be the answer any number of times.

    `content`: an object or list becomes JSON, text and bytes stay. `chunks` instead: the chunks of a stream,
    which become server-sent events, closed by `[DONE]` (events of `/v1/messages` keep their names).
    `broken=True` says that an empty or nonsensical body is meant, so that the kit doesn't object.
    """

    def __init__(
        self,
        status_code: int = 200,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunks: Iterable[Mapping[str, Any]] | None = None,
        broken: bool = False,
    ) -> None:
        self.broken = broken
        self._given: dict[str, Any] = {
            "status_code": status_code,
            "content": content,
            "headers": headers,
            "chunks": None if chunks is None else [dict(chunk) for chunk in chunks],
            "broken": broken,
        }
        if chunks is not None:
            frames = sse_frames(self._given["chunks"])
            more = {"content-type": "text/event-stream; charset=utf-8", **(headers or {})}
            super().__init__(status_code, headers=more, stream=Frames(frames))
        elif content is None or isinstance(content, bytes | str):
            super().__init__(status_code, headers=headers, content=content or b"")
        else:
            super().__init__(status_code, headers=headers, json=content)

    def fresh(self) -> MockHTTPResponse:
        """Return an equal response that nobody has read: a stream can be read once."""
        return MockHTTPResponse(**self._given)


class Frames(httpx.AsyncByteStream):
    """Streams a body piece by piece; an exception among the pieces is raised."""

    def __init__(self, frames: Iterable[bytes | Exception]) -> None:
        self._frames = list(frames)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for frame in self._frames:
            if isinstance(frame, Exception):
                raise frame
            yield frame


def sse_frames(chunks: Iterable[Mapping[str, Any]], *, done: bool = True) -> list[bytes]:
    """Encode server-sent events: a chat completion's chunks with `[DONE]`, or Anthropic's named events
    without.
    """
    frames = []
    for chunk in chunks:
        data = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
        name = f"event: {chunk['type']}\n" if "type" in chunk else ""
        done = done and not name
        frames.append(f"{name}data: {data}\n\n".encode())
    return [*frames, b"data: [DONE]\n\n"] if done else frames


def http_answer(
    answer: Completion | Refusal, route: Route, model: str, *, streamed: bool, by_litellm: bool = True
) -> httpx.Response:
    """Build the HTTP response of the LiteLLM process, or else of the provider itself."""
    if isinstance(answer, Refusal):
        return _refused(answer, route, model, by_litellm=by_litellm)
    if not streamed:
        recorded = samples.process_answer("messages.plain" if route == "messages" else "chat.plain")
        return MockHTTPResponse(200, whole(answer, route, "process", model), _headers(recorded))
    recorded = samples.process_answer("messages.stream" if route == "messages" else "streaming.plain")
    chunks = stream(answer, route, "process", model)
    frames = sse_frames(chunks, done=answer.breaks is None)
    if answer.breaks is not None:
        frames.append(_error_frame(answer.breaks, route))
    return httpx.Response(200, headers=_headers(recorded), stream=Frames(frames))


def error_body(refusal: Refusal, route: Route, model: str) -> dict[str, Any]:
    """Build the body of the LiteLLM process for an error. Raises `NoSample`."""
    scenario_id = samples.error_id(route, refusal.status, refusal.kind)
    body: dict[str, Any] = samples.reworded(
        samples.body(scenario_id, "process"), changes(scenario_id, refusal, model)
    )
    return body


def changes(scenario_id: str, refusal: Refusal, model: str) -> dict[str, str]:
    """Return the replacements in a recorded error: the model's name, and the sentence if there is another."""
    samples.check_message(refusal.kind, refusal.message)
    said = samples.sentence(scenario_id)
    reworded = {said: refusal.message} if said and refusal.message is not None else {}
    return {**reworded, scenario_id: model}


def _refused(refusal: Refusal, route: Route, model: str, *, by_litellm: bool) -> httpx.Response:
    scenario_id = samples.error_id(route, refusal.status, refusal.kind)
    if not by_litellm:
        if refusal.kind == "unreachable":
            raise httpx.ConnectError("All connection attempts failed")
        if refusal.kind == "timeout":
            raise httpx.ReadTimeout("")
        reply = samples.scenario(scenario_id).provider[0]
        body = samples.reworded(reply.json_, changes(scenario_id, refusal, model))
        headers = {**reply.headers, **({"retry-after": refusal.retry_after} if refusal.retry_after else {})}
        return MockHTTPResponse(reply.status, body, headers)
    recorded = samples.process_answer(scenario_id)
    headers = _headers(recorded)
    if refusal.retry_after is not None:
        headers["llm_provider-retry-after"] = refusal.retry_after
    return MockHTTPResponse(recorded.status, error_body(refusal, route, model), headers)


def _error_frame(sentence: str, route: Route) -> bytes:
    scenario_id = "messages.error_event[api]" if route == "messages" else "streaming.error_frame"
    frame = (samples.process_answer(scenario_id).frames or [""])[-1]
    error = samples.chunks(scenario_id, "process")[-1]
    said = str(error["error"]["message"]).rpartition("Exception - ")[2]
    data = json.dumps(samples.reworded(error, {said: sentence}), ensure_ascii=False)
    name, _, _ = frame.rpartition("data: ")
    return f"{name}data: {data}\n\n".encode()


def _headers(recorded: ProcessAnswer) -> dict[str, str]:
    return {name: value for name, value in recorded.headers.items() if name not in _TRANSFER}

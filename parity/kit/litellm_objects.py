"""Builds answers as LiteLLM's own objects: returned, yielded or raised. Imports litellm when called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from parity.kit import samples
from parity.kit.bodies import HELLO, MODEL
from parity.kit.completion import Completion, FinishReason, Refusal, ToolCall, stream, whole
from parity.kit.http_answers import changes, sse_frames
from parity.kit.samples import ErrorKind, Route
from parity.recording.file import SdkAnswer, SdkException

_MID_STREAM: dict[Route, str] = {
    "chat/completions": "streaming.error_frame",
    "messages": "messages.error_event[api]",
}


def mock_model_response(
    content: str | None = None,
    *,
    model: str = MODEL,
    finish_reason: FinishReason | None = None,
    tool_calls: Sequence[ToolCall] = (),
    usage: Mapping[str, int] | None = None,
) -> Any:
    """Build the `litellm.ModelResponse` that belongs to `mock_completion_response`."""
    text = HELLO if content is None and not tool_calls else content
    answer = Completion(text, tool_calls, finish_reason, usage)
    return returned(answer, "chat/completions", model, streamed=False)


def mock_stream_wrapper(
    content: str | Sequence[str] | None = None,
    *,
    model: str = MODEL,
    finish_reason: FinishReason | None = None,
    tool_calls: Sequence[ToolCall] = (),
    usage: Mapping[str, int] | None = None,
    breaks: str | None = None,
) -> Any:
    """Build the `litellm.CustomStreamWrapper` that belongs to `mock_streaming_chunks_sequence`; for one call.

    `breaks`: after the content it raises what LiteLLM raises when a provider sends this error in a stream.
    """
    pieces = None if content is None or isinstance(content, str) else list(content)
    text = content if isinstance(content, str) else HELLO if content is None and not tool_calls else None
    answer = Completion(text, tool_calls, finish_reason, usage, pieces, breaks)
    return returned(answer, "chat/completions", model, streamed=True)


def mock_litellm_exception(
    status: int | None = None,
    message: str | None = None,
    *,
    kind: ErrorKind | None = None,
    retry_after: str | None = None,
    route: Route = "chat/completions",
) -> BaseException:
    """Build LiteLLM's exception that belongs to `mock_error_response`. Raises `ValueError`, too."""
    return exception(Refusal(status, message, kind, retry_after), route, MODEL)


def returned(answer: Completion, route: Route, model: str, *, streamed: bool) -> Any:
    """Build the object that LiteLLM's function returns for a completion."""
    from parity.recording import sdk_objects

    if not streamed:
        recorded = samples.sdk_answer("messages.plain" if route == "messages" else "chat.plain")
        value = whole(answer, route, "sdk", model)
        if route == "messages":
            return value
        return sdk_objects.load_response(recorded.model_copy(update={"value": value}))
    recorded = samples.sdk_answer("messages.stream" if route == "messages" else "streaming.plain")
    chunks = stream(answer, route, "sdk", model)
    if route == "messages":
        frames = sse_frames(chunks)
        if answer.breaks is not None:
            event = samples.chunks(_MID_STREAM[route], "sdk")[-1]
            said = event["error"]["message"]
            frames += sse_frames([samples.reworded(event, {said: answer.breaks})])
        return sdk_objects.ReplayedBytes(_each(frames), recorded)
    return sdk_objects.ReplayedStream(_yielded(chunks, answer.breaks), recorded)


def exception(refusal: Refusal, route: Route, model: str) -> BaseException:
    """Build the exception that LiteLLM's function raises for an error; a fresh instance at each call."""
    from parity.recording import sdk_objects

    scenario_id = samples.error_id(route, refusal.status, refusal.kind)
    data = _raises(samples.sdk_answer(scenario_id))
    error = sdk_objects.load_exception(_reworded(data, changes(scenario_id, refusal, model)))
    if refusal.retry_after is not None:
        headers: Any = getattr(error, "litellm_response_headers", None)
        told = {**dict(headers or {}), "retry-after": refusal.retry_after}
        error.__dict__["litellm_response_headers"] = told if headers is None else type(headers)(told)
    return error


def _raises(answer: SdkAnswer) -> SdkException:
    assert answer.raises is not None
    return answer.raises


def _reworded(data: SdkException, texts: dict[str, str]) -> SdkException:
    return SdkException.model_validate(samples.reworded(data.model_dump(mode="json"), texts))


async def _each(frames: list[bytes]) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


async def _yielded(chunks: list[dict[str, Any]], breaks: str | None) -> AsyncIterator[Any]:
    from parity.recording import sdk_objects

    for chunk in chunks:
        yield sdk_objects.load_chunk(chunk)
    if breaks is not None:
        data = _raises(samples.sdk_answer(_MID_STREAM["chat/completions"]))
        said = str(data.args[0]).rpartition("Exception - ")[2]
        raise sdk_objects.load_exception(_reworded(data, {said: breaks}))

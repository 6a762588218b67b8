"""LiteLLM's own objects, as data and back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

pytest.importorskip("litellm")

from parity.recording import sdk_objects
from parity.recording.file import RecordingError, SdkAnswer, SdkException
from parity.recording.litellm_import import litellm
from parity.recording.sdk_objects import (
    ReplayedStream,
    dump_exception,
    dump_headers,
    dump_value,
    load_chunk,
    load_exception,
    load_response,
)
from tests.parity.litellm_calls import CHUNKS, COMPLETION, ask, events, failure, provider

ERROR = {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


def dumps_of(value: Any) -> list[dict[str, Any]]:
    """Every way in which a proxy may dump a response."""
    return [
        value.model_dump(mode="json", **options)
        for options in ({}, {"exclude_unset": True}, {"exclude_none": True, "exclude_unset": True})
    ]


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


async def test_a_response_survives() -> None:
    """A completion that litellm made is the same after being written and read, however it is dumped."""
    real = await ask(httpx.Response(200, json=COMPLETION))
    again = load_response(SdkAnswer(value=through_json(dump_value(real))))
    assert type(again) is type(real)
    assert dumps_of(again) == dumps_of(real)
    assert again.choices[0].message.tool_calls[0].function.name == "look"
    assert again.usage.prompt_tokens_details.cached_tokens == 1


async def test_a_mocked_response_survives() -> None:
    """So is one that litellm made up by itself."""
    real = await ask(httpx.Response(500), mock_response="Grüße 🌍")
    again = load_response(SdkAnswer(value=through_json(dump_value(real))))
    assert dumps_of(again) == dumps_of(real)
    assert again.choices[0].message.content == "Grüße 🌍"


async def test_chunks_survive() -> None:
    """Each chunk of a stream is the same after being written and read."""
    real = await ask(events(*CHUNKS), stream=True)
    assert len(real) >= 3
    for piece in real:
        again = load_chunk(through_json(dump_value(piece)))
        assert type(again) is type(piece)
        assert dumps_of(again) == dumps_of(piece)


class Forgetful(litellm.ModelResponse):  # type: ignore[misc]
    """A completion that never dumps as the same twice."""

    def model_dump(self, **options: Any) -> dict[str, Any]:
        data: dict[str, Any] = super().model_dump(**options)
        data["id"] = str(id(self))
        return data


async def test_explicit_nulls_survive() -> None:
    """So is one with fields that were set to null or left out, which building it from its dump would mix up."""
    choices = [{**COMPLETION["choices"][0], "logprobs": None}]
    real = await ask(httpx.Response(200, json={**COMPLETION, "choices": choices}))
    real.choices[0].logprobs = None
    again = load_response(SdkAnswer(value=through_json(dump_value(real))))
    assert type(again) is type(real)
    assert dumps_of(again) == dumps_of(real)


async def test_what_cannot_be_rebuilt_is_refused() -> None:
    """A value that would come back as another one is an error when it is recorded, not when it is replayed."""
    with pytest.raises(RecordingError, match="Forgetful does not survive"):
        dump_value(Forgetful())


async def test_headers_survive_in_both_places() -> None:
    """The provider's headers are where litellm puts them, under their own and under its names, secrets masked."""
    headers = {"x-request-id": "req_1", "retry-after": "7", "set-cookie": "session=abcdef123456"}
    real = await ask(httpx.Response(200, json=COMPLETION, headers=headers))
    kept = dump_headers(real)
    assert kept["additional_headers"]["llm_provider-x-request-id"] == "req_1"
    assert "abcdef123456" not in json.dumps(kept)
    again = load_response(SdkAnswer(value=dump_value(real), **kept))
    assert dump_headers(again) == kept


async def test_headers_of_a_stream() -> None:
    """A stream has its headers before its first chunk."""
    async with provider(events(*CHUNKS, **{"x-request-id": "req_1"})) as client:
        real = await litellm.acompletion(
            model="openai/gpt-4o-mini", messages=[], client=client, stream=True, api_key="stub-key"
        )
        kept = dump_headers(real)
        async for _ in real:
            pass
    assert any("req_1" in headers.values() for headers in kept.values())

    async def none() -> Any:
        return
        yield

    replayed = ReplayedStream(none(), SdkAnswer(chunks=[], **kept))
    assert dump_headers(replayed) == kept
    assert isinstance(replayed, type(real))


async def test_no_headers_are_no_error() -> None:
    """An object without headers has none, in both places."""
    assert dump_headers(object()) == {"response_headers": {}, "additional_headers": {}}


async def test_a_replayed_stream_ends_and_closes() -> None:
    """It yields what it was given, ends, and passes a close on to its source."""
    closed: list[bool] = []

    async def source() -> Any:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    stream = ReplayedStream(source(), SdkAnswer(chunks=[]))
    assert await anext(stream) == 1
    await stream.aclose()
    assert closed == [True]
    assert [piece async for piece in ReplayedStream(source(), SdkAnswer(chunks=[]))] == [1, 2]


REPLIES: list[tuple[int, dict[str, str]]] = [
    (status, {}) for status in (400, 401, 403, 404, 408, 409, 413, 422, 500, 502, 503, 529)
] + [(429, {"retry-after": "7"})]


def visible(error: BaseException) -> dict[str, Any]:
    """What a proxy may look at when it maps an exception."""
    names = ("status_code", "message", "type", "param", "code", "body", "llm_provider", "model", "request_id")
    response = getattr(error, "response", None)
    return {
        "class": type(error),
        "text": str(error),
        "args": error.args,
        **{name: getattr(error, name, "(absent)") for name in names},
        "headers": dict(getattr(error, "litellm_response_headers", None) or {}),
        "response": response is not None and (response.status_code, dict(response.headers)),
    }


@pytest.mark.parametrize(("status", "headers"), REPLIES, ids=[str(status) for status, _ in REPLIES])
async def test_exceptions_survive(status: int, headers: dict[str, str]) -> None:
    """Class, text, status, code and headers of a real exception are the same after writing and reading."""
    real = await failure(httpx.Response(status, json=ERROR, headers=headers))
    data = SdkException.model_validate(through_json(dump_exception(real).model_dump(mode="json")))
    again = load_exception(data)
    assert visible(again) == visible(real)
    if headers:
        assert "7" in again.litellm_response_headers["retry-after"]  # type: ignore[attr-defined]


async def test_causes_survive() -> None:
    """The exceptions that an exception was raised from are kept."""
    real = await failure(httpx.Response(429, json=ERROR))
    real.__cause__ = httpx.ConnectError("refused")
    real.__cause__.__cause__ = OSError(111, "refused")
    again: BaseException | None = load_exception(dump_exception(real))
    one: BaseException | None = real
    depth = 0
    while one is not None and depth <= sdk_objects.CAUSES_KEPT:
        assert again is not None
        assert (type(again), str(again)) == (type(one), str(one))
        one, again, depth = one.__cause__, again.__cause__, depth + 1
    assert depth == 3


async def test_causes_are_cut_somewhere() -> None:
    """A long chain, or one that bites its own tail, ends after a few."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    first.__dict__["original"], second.__dict__["original"] = second, first
    found, depth = load_exception(dump_exception(first)), 0
    while found.__cause__ is not None:
        found, depth = found.__cause__, depth + 1
    assert depth == sdk_objects.CAUSES_KEPT


async def test_a_mid_stream_failure_survives() -> None:
    """What litellm raises when a provider's stream breaks can be written and read."""
    frames = [*CHUNKS[:2], f"data: {json.dumps(ERROR)}\n\n"]
    real = await failure(events(*frames), stream=True)
    again = load_exception(dump_exception(real))
    assert visible(again) == visible(real)
    assert visible(again.original_exception) == visible(real.original_exception)  # type: ignore[attr-defined]


async def test_each_loaded_exception_is_a_fresh_one() -> None:
    """Exceptions carry tracebacks, so no two calls share one."""
    data = dump_exception(await failure(httpx.Response(429, json=ERROR)))
    one, other = load_exception(data), load_exception(data)
    assert one is not other
    assert one.__dict__ is not other.__dict__
    assert one.__traceback__ is None


def stub(answer: Any) -> Any:
    """A client for LiteLLM's own calls, whose provider gives one answer to everything."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    handler = AsyncHTTPHandler()
    handler.client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: answer))
    return handler


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
VECTORS = {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("body", [VECTORS, {"status": "ok"}])
async def test_embeddings_survive(body: Any) -> None:
    """An answer of another class is rebuilt with the classes in it, also where LiteLLM emptied it."""
    client = openai.AsyncOpenAI(
        api_key="k",
        base_url="http://provider.invalid/v1",
        http_client=httpx.AsyncClient(
            transport=httpx.MockTransport(lambda request: httpx.Response(200, json=body))
        ),
    )
    real = await litellm.aembedding(model="openai/m", input="Hi", client=client)
    again = load_response(SdkAnswer(value=through_json(dump_value(real))))
    assert type(again) is type(real)
    assert dumps_of(again) == dumps_of(real)
    assert type(again.usage) is type(real.usage)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_a_response_with_items_survives() -> None:
    """So is one that holds objects of several packages."""
    client = stub(httpx.Response(200, json=MESSAGE))
    real = await litellm.aresponses(model="anthropic/claude-x", input="Hi", api_key="k", client=client)
    again = load_response(SdkAnswer(value=through_json(dump_value(real))))
    assert dumps_of(again) == dumps_of(real)
    assert [type(item) for item in again.output] == [type(item) for item in real.output]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_events_survive() -> None:
    """Each event is of its own class again, and what its class doesn't allow is kept."""
    response = {"id": "resp_1", "object": "response", "created_at": 1, "output": [], "status": "in_progress"}
    sent: list[dict[str, Any]] = [
        {"type": "response.created", "sequence_number": 0, "response": response},
        {"type": "response.content_part.done", "item_id": "m", "part": {"type": "output_text", "text": "x"}},
        {"type": "response.something.new", "depth": {"of": 3}},
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in sent)
    client = stub(httpx.Response(200, text=text, headers={"content-type": "text/event-stream"}))
    stream = await litellm.aresponses(
        model="openai/gpt-4o", input="Hi", api_key="k", client=client, stream=True
    )
    seen = [event async for event in stream]
    assert len(seen) == len(sent)
    for event in seen:
        again = load_chunk(through_json(dump_value(event)))
        assert type(again) is type(event)
        assert dumps_of(again) == dumps_of(event)

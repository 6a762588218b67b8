"""What both backends owe the front: what came, as it came."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest

from proxies import limited_body
from proxies.backend import Call
from proxies.errors import TIMED_OUT, UNREACHABLE, UNREADABLE, ProxyError
from tests.polling import until
from tests.proxies.arms import ANTHROPIC, OPENAI, BinaryArm, arm_named, events
from tests.proxies.bodies import COMPLETION, MESSAGE, read
from tests.proxies.front.fakes import KEY
from tests.samples import DONE, as_events, message_events, response_events

ASKED = {"messages": [{"role": "user", "content": "hi"}]}
CHAT = Call("chat/completions", OPENAI, ASKED, {}, "ann")
CHAT_STREAM = Call("chat/completions", OPENAI, {**ASKED, "stream": True}, {}, "ann")
MESSAGES = Call("messages", ANTHROPIC, {**ASKED, "max_tokens": 9}, {}, "ann")
MESSAGES_STREAM = Call("messages", ANTHROPIC, {**ASKED, "max_tokens": 9, "stream": True}, {}, "ann")
RESPONSES_STREAM = Call("responses", OPENAI, {"input": "hi", "stream": True}, {}, "ann")


@pytest.fixture(params=["binary", "sdk"])
def arm(request: pytest.FixtureRequest) -> BinaryArm:
    return arm_named(request.param)


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


FIRST = chunk({"role": "assistant", "content": "Hel"})
LAST = chunk({}, "stop")


async def failure(arm: BinaryArm, call: Call) -> ProxyError:
    """How `call` fails."""
    backend = arm.backend()
    with pytest.raises(ProxyError) as caught:
        await (backend.stream(call) if call.params.get("stream") else backend.complete(call))
    await backend.aclose()
    return caught.value


@pytest.mark.parametrize(
    ("call", "said"), [(CHAT, COMPLETION), (MESSAGES, MESSAGE)], ids=["chat", "messages"]
)
async def test_an_answer(arm: BinaryArm, call: Call, said: dict[str, Any]) -> None:
    """A reply has the provider's model, not the name asked for, and once asked its words."""
    seen = arm.answers(said)
    reply = await arm.backend().complete(call)
    assert len(seen) == 1
    assert str(reply.body["model"]) in (said["model"], "gpt-4o-mini")
    assert "Hello" in str(reply.body)


async def test_headers_of_an_answer(arm: BinaryArm) -> None:
    """All headers of the provider's come, those too that no client may see, and none that LiteLLM makes up."""
    arm.answers(COMPLETION, x_request_id="r", server="nginx")
    headers = (await arm.backend().complete(CHAT)).headers
    assert (headers["x-request-id"], headers["server"]) == ("r", "nginx")
    assert headers.get("request-id") != "made up"


@pytest.mark.parametrize("call", [CHAT, CHAT_STREAM, MESSAGES], ids=["chat", "stream", "messages"])
async def test_a_refusal(arm: BinaryArm, call: Call) -> None:
    """A provider's error has its status, its sentence and all of its headers; none is chosen for the client yet."""
    seen = arm.refuses(429, "Slow down.", retry_after="7", server="nginx")
    error = await failure(arm, call)
    assert (error.status, error.message, error.headers) == (429, "Slow down.", {})
    assert (error.upstream_headers["retry-after"], error.upstream_headers["server"]) == ("7", "nginx")
    assert len(seen) == 1


async def test_param_survives(arm: BinaryArm) -> None:
    """The parameter that the provider named is passed on."""
    arm.refuses(400, "No.", param="temperature")
    assert (await failure(arm, CHAT)).param == "temperature"


@pytest.mark.parametrize("said", ["", "[]", '{"id": "ch'])
async def test_an_answer_that_cannot_be_read(arm: BinaryArm, said: str) -> None:
    """A success that holds no JSON object is the provider's failure."""
    if arm.name == "binary":
        arm.answers(said)
    else:  # the SDK's exception for it, as LiteLLM words it, is of many kinds: see test_errors.py
        arm.answers(said, content_type="application/json")
    error = await failure(arm, CHAT)
    assert (error.status, error.message) in ((502, UNREADABLE), (502, UNREACHABLE))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (httpx.ConnectError("All connection attempts failed"), 502),
        (httpx.ReadError(""), 502),
        (httpx.ReadTimeout(""), 504),
    ],
)
@pytest.mark.parametrize("call", [CHAT, CHAT_STREAM], ids=["plain", "stream"])
async def test_out_of_reach(arm: BinaryArm, call: Call, error: Exception, status: int) -> None:
    """A connection that breaks is a 502 and silence a 504, after one try."""
    seen = arm.fails(error)
    assert (await failure(arm, call)).status == status
    assert len(seen) == 1


async def test_a_stream(arm: BinaryArm) -> None:
    """Chunks come as they were, cut anywhere; closing closes the call, and twice is fine."""
    whole = b": ping\n\n" + events(FIRST, chunk({"content": "lo"}), LAST, "[DONE]")
    body = arm.streams(whole[:31], whole[31:], x_request_id="r")
    stream = await arm.backend().stream(CHAT_STREAM)
    chunks = [c async for c in stream]
    await stream.aclose()
    await stream.aclose()
    await until(lambda: body.closed)
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "Hello"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert stream.headers["x-request-id"] == "r"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (CHAT_STREAM, [FIRST, LAST]),
        (MESSAGES_STREAM, message_events("Hi")),
        (RESPONSES_STREAM, response_events("Hi")),
    ],
    ids=["chat", "messages", "responses"],
)
async def test_an_end_that_comes_late(
    arm: BinaryArm, call: Call, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends a stream's body is awaited for a moment behind the last event: else its connection would be lost."""
    monkeypatch.setattr(limited_body, "END_WITHIN", 30.0)
    text = as_events(said)
    body = arm.streams((text if DONE in text or arm.name == "sdk" else text + DONE).encode())
    body.ends_after = 0.01
    stream = await arm.backend().stream(call)
    chunks: list[Any] = []
    await asyncio.wait_for(read(stream, chunks), 10)
    await stream.aclose()
    await until(lambda: body.closed)
    assert chunks
    assert body.read_to_its_end


@pytest.mark.parametrize("call", [CHAT_STREAM, MESSAGES_STREAM], ids=["chat", "messages"])
async def test_closing_half_way(arm: BinaryArm, call: Call) -> None:
    """A stream that is closed after its first chunk ends the call upstream."""
    start = {"type": "message_start", "message": {**MESSAGE, "content": []}}
    body = arm.streams(*[events(FIRST if call is CHAT_STREAM else start)] * 5)
    stream = await arm.backend().stream(call)
    await anext(aiter(stream))
    assert not body.closed
    await stream.aclose()
    assert body.closed


@pytest.mark.parametrize(
    ("last", "status"),
    [(httpx.RemoteProtocolError("peer closed connection"), 502), (httpx.ReadTimeout(""), 504)],
)
async def test_a_stream_that_breaks(arm: BinaryArm, last: Exception, status: int) -> None:
    """What ends a stream half-way is a failure behind the chunks that came."""
    arm.streams(events(FIRST), last)
    stream = await arm.backend().stream(CHAT_STREAM)
    chunks: list[Any] = []
    with pytest.raises(ProxyError) as caught:
        await read(stream, chunks)
    await stream.aclose()
    assert len(chunks) == 1
    assert caught.value.status == status
    assert status != 504 or caught.value.message == TIMED_OUT


@pytest.mark.parametrize("cut", [1, 7, 10_000])
async def test_events_of_a_message(arm: BinaryArm, cut: int) -> None:
    """Anthropic's events are handed on unchanged, nulls included, wherever their bytes are cut."""
    said = [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_sequence": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "☀️"}},
        {"type": "message_stop"},
    ]
    whole = events(*said, *(["[DONE]"] if arm.name == "binary" else []))
    arm.streams(*(whole[start : start + cut] for start in range(0, len(whole), cut)))
    stream = await arm.backend().stream(MESSAGES_STREAM)
    assert [event async for event in stream] == said
    await stream.aclose()


async def test_an_event_that_is_no_json(arm: BinaryArm) -> None:
    """An event that can't be read is a failure of the provider's."""
    arm.streams(b"event: ping\ndata: {oops\n\n")
    stream = await arm.backend().stream(MESSAGES_STREAM)
    with pytest.raises(ProxyError, match=UNREADABLE) as caught:
        await anext(aiter(stream))
    await stream.aclose()
    assert caught.value.status == 502


async def test_an_official_client_sees_a_rate_limit(arm: BinaryArm) -> None:
    """OpenAI's client raises its own exception class, with the provider's `retry-after` and nothing else of theirs."""
    arm.refuses(429, "Slow down.", retry_after="7", server="nginx", set_cookie="cf=1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(arm.app())) as http:
        client = openai.AsyncOpenAI(api_key=KEY, base_url="http://proxy/v1", http_client=http, max_retries=0)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model=OPENAI, messages=[{"role": "user", "content": "hi"}])
    headers = caught.value.response.headers
    assert headers["retry-after"] == "7"
    assert caught.value.code == "rate_limit_exceeded"
    assert {"server", "set-cookie"}.isdisjoint(headers)


async def test_the_client_sees_the_name_that_it_asked_for_and_no_nulls(arm: BinaryArm) -> None:
    """The front puts the model's name back and leaves nulls out, whichever architecture it has."""
    said = {**COMPLETION, "system_fingerprint": None}
    said["choices"] = [{**COMPLETION["choices"][0], "logprobs": None}]  # type: ignore[index]
    arm.answers(said)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(arm.app()), base_url="http://proxy") as client:
        answer = await client.post(
            "/v1/chat/completions",
            json={"model": OPENAI, **ASKED},
            headers={"authorization": f"Bearer {KEY}"},
        )
    body = answer.json()
    assert body["model"] == OPENAI
    assert "logprobs" not in body["choices"][0]
    assert "system_fingerprint" not in body


async def test_warnings_of_the_process_stay_as_they_are(arm: BinaryArm) -> None:
    """Starting a backend, and a call, don't change what the rest of the process is warned of."""
    arm.answers(COMPLETION)
    if arm.name == "sdk":
        __import__("litellm")  # it has filters of its own
    backend = arm.backend()
    with warnings.catch_warnings(record=True):
        before = list(warnings.filters)
        if arm.name == "sdk":
            await backend.start()
        assert warnings.filters == before
    await backend.aclose()


@pytest.mark.parametrize("call", [CHAT, MESSAGES], ids=["chat", "messages"])
async def test_a_long_text_keeps_nobody_waiting(arm: BinaryArm, call: Call) -> None:
    """The loop is held at once no longer than it takes to write the text as JSON a few times."""
    text = "a" * 8_000_000
    once = min(_writing(text) for _ in range(3))
    arm.answers(COMPLETION if call is CHAT else MESSAGE)
    backend = arm.backend()
    long = replace(call, params={**call.params, "messages": [{"role": "user", "content": text}]})
    # The shortest of some: what LiteLLM does once, after its first calls, isn't what is measured.
    held = min([await _held_by(backend.complete(long)) for _ in range(4)])
    await backend.aclose()
    assert held < 4 * once


def _writing(text: str) -> float:
    began = time.thread_time()
    json.dumps(text)
    return time.thread_time() - began


async def _held_by(work: Awaitable[Any]) -> float:
    """The longest turn of the loop while `work` is done, in seconds of this thread's own time."""
    turns = [0.0]

    async def watch() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - began)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        await work
    finally:
        watching.cancel()
    return max(turns)

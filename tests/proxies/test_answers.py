"""A provider's answer, mended before LiteLLM reads it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import httpx
import pytest

from proxies.answers import (
    MendedStream,
    Resumed,
    as_stream,
    asked_at,
    mended_error,
    mended_request,
    mended_whole,
    status_within,
    upstream_kind,
)
from proxies.chunks import MOST_SENTENCE, UNREADABLE, WRITTEN, Unfinished, cut, data_of, events
from proxies.egress import Guard
from tests import samples

CHAT, MESSAGES = "chat/completions", "messages"
OF_OPENAI = {"x-stainless-lang": "python"}
SAID = "Key not valid."
LONG = "A word. " * 20_000


class Body(httpx.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


async def parsed(body: bytes | AsyncIterable[bytes]) -> list[Any]:
    pieces = aiter(Body(body) if isinstance(body, bytes) else body)
    return [
        json.loads(data) if (data := data_of(event)).startswith("{") else data
        async for event in events(pieces)
    ]


@pytest.mark.parametrize(
    "document",
    [
        [{"error": {"code": 400, "message": SAID, "status": "INVALID"}}],
        {"error": SAID},
        {"message": SAID, "code": 400},
        {"Message": SAID},
        {"detail": SAID},
        {"detail": [{"loc": ["body"], "msg": SAID}]},
        {"errors": [{"message": SAID}]},
        {"error": {"error": {"message": SAID}}},
        {"error": "invalid", "error_description": SAID},
        {"fault": {"faultstring": SAID}},
        {"base_resp": {"status_code": 1, "status_msg": SAID}},
        [SAID],
    ],
)
def test_an_errors_sentence_is_found(document: Any) -> None:
    """Whichever shape an error has, its sentence stands where OpenAI has it."""
    assert json.loads(mended_error(dumped(document)))["error"]["message"] == SAID


@pytest.mark.parametrize(
    "body",
    [
        dumped({"error": {"message": SAID}}),
        b"<html>",
        dumped({"a": {"b": 1}}),
        dumped([]),
        dumped(SAID),
        dumped(1),
    ],
)
def test_an_error_that_needs_nothing_stays(body: bytes) -> None:
    """What has its sentence in the right place, or none at all, is LiteLLM's to read."""
    assert mended_error(body) is body


@pytest.mark.parametrize(
    "document",
    [
        {"error": {"message": LONG, "type": "t", "code": 7}},
        {"type": "error", "error": {"message": LONG, "type": "t"}},
        {"error": LONG},
        {"detail": LONG},
        {"error": {"message": "Short.", "metadata": LONG}},
        [{"error": {"message": LONG}}],
    ],
)
def test_a_long_error_is_cut(document: Any) -> None:
    """LiteLLM would look through all of it several times, while nobody else is served; what it is about stays."""
    mended = mended_error(dumped(document))
    assert len(mended) < 2 * MOST_SENTENCE
    made = json.loads(mended)
    error = made["error"]
    sentence = error if isinstance(error, str) else error["message"]
    assert sentence in ("Short.", cut(LONG))
    if isinstance(document, dict) and isinstance(given := document.get("error"), dict):
        assert {**error, "message": ""} == {
            name: value for name, value in {**given, "message": ""}.items() if name != "metadata"
        }
        assert made.get("type") == document.get("type")


@pytest.mark.parametrize("body", [b"<html>" + b"word " * 9000, b"{" * 2_000_000, b'["' + b"word " * 9000])
def test_of_a_long_page_the_beginning_is_kept(body: bytes) -> None:
    assert len(mended_error(body)) <= MOST_SENTENCE + 2
    assert mended_error(body)[:4000] == body[:4000]


def test_a_sentence_is_cut_between_words() -> None:
    """Half of a key wouldn't be known as one; cutting again changes nothing."""
    sentence = "word " * 1637 + "sk-" + "k" * 200
    assert cut(sentence) == "word " * 1636 + "word…"
    assert cut(cut(sentence)) == cut(sentence)
    assert cut("x" * 9000) == "x" * 4096 + "…"
    assert cut("x" * MOST_SENTENCE) == "x" * MOST_SENTENCE


async def test_a_long_error_in_a_stream_is_cut() -> None:
    """In a chunk of OpenAI's, beside its choices or in one of them, and in an event of Anthropic's."""
    error = {"message": LONG}
    failed = samples.chunk("error", delta={})
    failed["choices"][0]["error"] = error
    for chunk in ({"error": error}, failed):
        made, *_ = await parsed(MendedStream(Body(b"data: " + dumped(chunk) + b"\n\n"), CHAT))
        assert made["error"] == {"message": cut(LONG)}
    with asked_at(CHAT):
        event = {"type": "error", "error": {"type": "t", **error}}
        stream = MendedStream(Body(b"event: error\ndata: " + dumped(event) + b"\n\n"), MESSAGES)
        assert await parsed(stream) == [{"type": "error", "error": {"type": "t", "message": cut(LONG)}}]


def test_a_deep_error_is_given_up() -> None:
    """Nobody looks for a sentence at any depth."""
    document: Any = SAID
    for _ in range(9):
        document = {"error": document}
    assert mended_error(dumped(document)) == dumped(document)


def whole(body: Any, kind: str = CHAT, route: str = CHAT) -> tuple[bytes, str]:
    with asked_at(route):
        return mended_whole(kind, body if isinstance(body, bytes) else dumped(body), OF_OPENAI)


def completion(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    said = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **choice}
    return samples.completion(choices=[said])


def tool(arguments: Any) -> dict[str, Any]:
    return {"content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("body", "kind", "route", "failure"),
    [
        (b"data: {}\n\n", CHAT, CHAT, UNREADABLE),
        (b"event: message_start\n", MESSAGES, MESSAGES, UNREADABLE),
        (completion({"content": "a"}, finish_reason="odd"), CHAT, CHAT, "unknown"),
        (completion({"content": "a"}, finish_reason="error", error={"message": SAID}), CHAT, CHAT, SAID),
        (completion(tool('{"a')), CHAT, MESSAGES, UNREADABLE),
        (completion(tool("[1]")), CHAT, MESSAGES, UNREADABLE),
        (completion(tool('{"a')), CHAT, CHAT, ""),
        (completion(tool("")), CHAT, MESSAGES, ""),
        (completion(tool({"a": 1})), CHAT, MESSAGES, ""),
        (samples.message(stop_reason="odd"), MESSAGES, CHAT, "unknown"),
        (samples.message(stop_reason="odd"), MESSAGES, MESSAGES, ""),
        ({"error": {"message": SAID, "code": 402}}, CHAT, CHAT, SAID),
        ({"choices": None}, CHAT, CHAT, ""),
        ({"choices": [1, {"message": None}]}, CHAT, CHAT, UNREADABLE),
        (b"<html>", CHAT, CHAT, ""),
    ],
)
def test_failures_within_a_success(body: Any, kind: str, route: str, failure: str) -> None:
    """An answer that ended as no API knows, or that LiteLLM can't translate, is a failure, and says why."""
    said = whole(body, kind, route)[1]
    assert (failure in said) if failure else said == ""


def test_what_looks_like_reasoning_is_left_in_the_text() -> None:
    """LiteLLM is told that there is no reasoning, where the provider named none."""
    message = json.loads(whole(completion({"content": "<think>a</think>b"}))[0])["choices"][0]["message"]
    assert message["reasoning_content"] is None
    assert message["content"] == "<think>a</think>b"
    kept = dumped({**completion({"content": "<b>", "reasoning_content": "r"}), "service_tier": "default"})
    assert whole(kept)[0] is kept


def test_the_status_within_an_error() -> None:
    """A status that an error names is believed, anything else isn't one."""
    assert status_within(dumped({"error": {"code": 402}})) == 402
    assert status_within(dumped({"error": {"code": 7}})) == status_within(b"[]") == 502


def test_a_completion_without_a_service_tier_is_read() -> None:
    """LiteLLM, which fails on one of Groq's, is told that there is none."""
    asked = dumped(completion({"content": "a"}))
    mended, failure = mended_whole("chat/completions", asked, {})
    assert (json.loads(mended)["service_tier"], failure) == (None, "")
    assert mended_whole("chat/completions", asked, OF_OPENAI)[0] is asked, "others can do without it"


async def test_a_whole_completion_as_a_stream() -> None:
    """All that it says comes as chunks, the usage if it was asked for."""
    document = completion(tool("{}"), finish_reason="tool_calls")
    request = dumped({"stream_options": {"include_usage": True}})
    body, failure = as_stream(CHAT, dumped(document), request)
    first, end, usage, done = await parsed(body)
    assert failure == ""
    assert first["choices"][0]["delta"]["tool_calls"][0]["index"] == 0
    assert end["choices"][0]["finish_reason"] == "tool_calls"
    said = json.dumps(document["usage"])
    assert usage["usage"] == {**document["usage"], "prompt_tokens_details": {WRITTEN: said}}
    assert done == "[DONE]"
    assert len(await parsed(as_stream(CHAT, dumped(document), b"{}")[0])) == 3


async def test_a_whole_message_as_a_stream() -> None:
    """Each of its blocks comes as events."""
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        {"type": "redacted_thinking", "data": "x"},
    ]
    names = [
        e["type"] for e in await parsed(as_stream(MESSAGES, dumped(samples.message(content=blocks)), b"")[0])
    ]
    assert names[0] == "message_start"
    assert names.count("content_block_start") == names.count("content_block_stop") == 4
    assert names.count("content_block_delta") == 4
    assert names[-2:] == ["message_delta", "message_stop"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", UNREADABLE),
        (b"{}", UNREADABLE),
        (dumped({"error": {"message": SAID}}), SAID),
        (b"data: x", UNREADABLE),
    ],
)
def test_no_stream_comes_of_what_is_none(body: bytes, said: str) -> None:
    """A page, an empty object or an error instead of a stream is a failure."""
    assert as_stream(CHAT, body, b"") == (b"", said)
    assert as_stream("responses", body, b"")[0] == b""


async def read(kind: str, route: str, *pieces: bytes) -> bytes:
    with asked_at(route):
        stream = MendedStream(Body(*pieces), kind)
    taken = b"".join([piece async for piece in stream])
    await stream.aclose()
    return taken


async def test_streams_of_other_kinds() -> None:
    """Events of another API, and Anthropic's without an end for a client of OpenAI's, break off."""
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    odd = b'data: {"type":"message_delta","delta":{"stop_reason":"odd"}}\n\n'
    assert await read(MESSAGES, CHAT, stop) == stop
    assert await read(MESSAGES, MESSAGES, odd) == odd
    assert await read("responses", "responses", b'data: {"type":"a"}\n\n') == b'data: {"type":"a"}\n\n'
    for kind, body in ((MESSAGES, b""), (MESSAGES, odd + stop), ("responses", b'data: {"choices":[]}\n\n')):
        with pytest.raises(Unfinished):
            await read(kind, "responses" if kind == "responses" else CHAT, body)


async def test_a_beginning_that_was_looked_at_comes_again() -> None:
    """Whether a body is JSON is seen at its first sign, and nothing of it is lost."""
    for pieces, is_json in (((b" ", b"{1", b"2"), True), ((b"data", b": x"), False), ((), False)):
        body = Resumed(Body(*pieces))
        assert await body.is_json() is is_json
        assert b"".join([piece async for piece in body]) == b"".join(pieces)
        await body.aclose()


def test_what_was_made_up_is_taken_out_of_requests() -> None:
    """A text for an empty turn and a tool for a history without any go no further."""
    made_up = {"type": "text", "text": "[System: Empty message content sanitised to satisfy protocol]"}
    turn = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    request = {
        "messages": [turn, {"role": "assistant", "content": [made_up]}, {"role": "user", "content": "b"}],
        "tools": [{"name": "dummy_tool"}],
    }
    assert json.loads(mended_request("messages", dumped(request))) == {
        "messages": [turn, {"role": "user", "content": "b"}]
    }
    for kept in (dumped({"messages": [turn]}), b"dummy_tool"):
        assert mended_request("messages", kept) is kept


def test_kinds() -> None:
    """How a provider was asked is seen from the address."""
    for path, kind in (("/x/v1/chat/completions", CHAT), ("/v1/messages", MESSAGES), ("/v1/completions", "")):
        assert upstream_kind(httpx.Request("POST", f"http://p.test{path}")) == kind
    assert upstream_kind(httpx.Request("GET", "http://p.test/v1/messages")) == ""


async def asked(
    answer: httpx.Response, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> httpx.Response:
    transport = httpx.MockTransport(lambda request: answer)
    async with httpx.AsyncClient(transport=transport, event_hooks=Guard(mends=True).hooks()) as client:
        return await client.post(f"http://provider.test{path}", json=body)


async def test_a_guard_that_mends() -> None:
    """Errors, whole answers and streams are mended on their way to LiteLLM, and headers that it can't read left out."""
    error = await asked(
        httpx.Response(400, json=[{"error": {"message": SAID}}], headers=[(b"x", b"\xe9")]), {}
    )  # type: ignore[list-item]
    assert (error.status_code, error.json()["error"]["message"], "x" in error.headers) == (400, SAID, False)
    streamed = await asked(httpx.Response(200, json=completion({"content": "a"})), {"stream": True})
    assert (streamed.headers["content-type"], streamed.text[-6:]) == ("text/event-stream", "[DONE]\n\n"[-6:])
    odd = await asked(httpx.Response(200, json=completion({}, finish_reason="odd")), {})
    assert odd.status_code == 502
    wrong = await asked(httpx.Response(200, json={"error": {"message": SAID, "code": 402}}), {})
    assert wrong.status_code == 402
    named = httpx.Response(
        200, stream=Body(b"data: [DONE]\n\n"), headers={"content-type": "application/json"}
    )
    with pytest.raises(Unfinished):
        await asked(named, {"stream": True})
    other = await asked(httpx.Response(200, content=b"x"), {}, "/v1/files")
    assert other.content == b"x"


def test_a_pdf_of_a_message_goes_up_as_a_file() -> None:
    """Where LiteLLM made a picture of it; a picture, and what a client of OpenAI's wrote, stay."""
    pdf = {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,JVBERi0="}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,JVBERi0="}}
    request = dumped(
        {"messages": [{"role": "user", "content": [pdf, picture]}, {"role": "user", "content": "a"}]}
    )
    with asked_at("messages"):
        mended = json.loads(mended_request(CHAT, request))
    [first, second] = mended["messages"][0]["content"]
    assert first["file"] == {"filename": "document.pdf", "file_data": pdf["image_url"]["url"]}
    assert second == picture
    with asked_at(CHAT):
        assert mended_request(CHAT, request) is request

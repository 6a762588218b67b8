"""What is refused before a backend sees it, and what isn't."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import Request

from proxies.dialects.chat import ChatParams
from proxies.errors import ProxyError
from proxies.front.body import check_params, parse_object, read_body

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"temperature": 1, "top_p": 0.5, "n": 2, "stop": ["a"], "seed": 1, "logit_bias": {"5": -1}},
        {
            "stop": "a",
            "tool_choice": "auto",
            "tools": [{"type": "function"}],
            "response_format": {"type": "text"},
        },
        {"temperature": None, "stop": None, "tools": None, "stream": None},
        {"metadata": {"a": "b"}, "user": "u", "drop_params": True, "unknown_to_us": {"x": [1]}, "top_k": 3},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "c"}], "odd": 1}]},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
    ],
)
def test_accepted(extra: dict[str, Any]) -> None:
    """What OpenAI's and Anthropic's clients send passes, and so does what only the provider knows."""
    check_params({**GOOD, **extra}, ChatParams)


@pytest.mark.parametrize(
    ("change", "param", "message"),
    [
        ({"model": ...}, "model", "is missing"),
        ({"model": ""}, "model", "must not be empty"),
        ({"model": None}, "model", "must be a string"),
        ({"messages": ...}, "messages", "is missing"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": "hi"}, "messages", "must be a list"),
        ({"messages": ["hi"]}, "messages[0]", "must be an object"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "is missing"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "must be a string or a list"),
        ({"messages": [{"role": "user", "content": [{}, 2]}]}, "messages[0].content[1]", "must be an object"),
        ({"stream": "yes"}, "stream", "must be true or false"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false"),
        ({"temperature": "hot"}, "temperature", "must be a number"),
        ({"temperature": True}, "temperature", "must be a number"),
        ({"n": 1.5}, "n", "must be a whole number"),
        ({"max_tokens": "9"}, "max_tokens", "must be a whole number"),
        ({"tools": "x"}, "tools", "must be a list"),
        ({"tools": [1]}, "tools[0]", "must be an object"),
        ({"tool_choice": 1}, "tool_choice", "must be a string or an object"),
        ({"stop": [1]}, "stop[0]", "must be a string"),
        ({"logit_bias": {"5": "x"}}, "logit_bias.5", "must be a number"),
    ],
)
def test_wrong_types(change: dict[str, Any], param: str, message: str) -> None:
    """A wrong parameter is a 400 that names it as clients write it, and what it would have to be."""
    body = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    with pytest.raises(ProxyError) as caught:
        check_params(body, ChatParams)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    assert caught.value.param == param
    assert caught.value.message == f"The parameter '{param}' {message}."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a":1}x',
        b'{"a": 1e999}',
    ],
)
def test_malformed_json(body: bytes) -> None:
    """What is no JSON, or can't be sent on as JSON, is a 400."""
    with pytest.raises(ProxyError, match="not valid JSON") as caught:
        parse_object(body, 100)
    assert caught.value.status == 400


@pytest.mark.parametrize("depth", [101, 5_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nested_too_deeply(depth: int, opening: str, closing: str) -> None:
    """More nesting than the limit is a 400 that says so, however much more, and is never taken for no parameters."""
    body = f'{{"a": {opening * (depth - 1)}1{closing * (depth - 1)}}}'.encode()
    with pytest.raises(ProxyError, match="nested too deeply: 100 lists and objects") as caught:
        parse_object(body, 100)
    assert caught.value.status == 400


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nested_as_deeply_as_may_be(opening: str, closing: str) -> None:
    """The limit itself is allowed, and what stands side by side doesn't count."""
    nested = f"{opening * 99}1{closing * 99}"
    assert parse_object(f'{{"a": {nested}, "b": {nested}, "c": [{{}}, {{}}]}}'.encode(), 100).keys() == {
        "a",
        "b",
        "c",
    }


def test_a_byte_order_mark_is_none_of_the_text() -> None:
    """Some clients begin with one; what goes up is written anew without it."""
    assert parse_object(b'\xef\xbb\xbf{"a": 1}', 100) == {"a": 1}


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"1"])
def test_no_object(body: bytes) -> None:
    """Other JSON than an object is a 400."""
    with pytest.raises(ProxyError, match="must be a JSON object"):
        parse_object(body, 100)


def test_object() -> None:
    """An object comes out as it is, surrogate pairs and all."""
    assert parse_object(json.dumps({"a": "🐝", "b": [1.5, None]}).encode(), 100) == {
        "a": "🐝",
        "b": [1.5, None],
    }


def request_of(pieces: list[bytes], headers: dict[str, str]) -> tuple[Request, list[bytes]]:
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive), left


async def test_body_within_the_limit() -> None:
    """A body of exactly the limit is read whole."""
    request, _ = request_of([b"ab", b"cd"], {"content-length": "4"})
    assert await read_body(request, 4) == b"abcd"


@pytest.mark.parametrize(
    ("headers", "unread"), [({"content-length": "5"}, 5), ({}, 2), ({"content-length": "x"}, 2)]
)
async def test_body_over_the_limit(headers: dict[str, str], unread: int) -> None:
    """A larger body is a 413: at once when its length is announced, else as soon as it is too long."""
    request, left = request_of([b"a"] * 5, headers)
    with pytest.raises(ProxyError) as caught:
        await read_body(request, 2)
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")
    assert len(left) == unread


async def test_a_body_that_does_not_come() -> None:
    """A client that stops sending is told so, however much it has sent."""
    pieces = [b"a", b"b"]

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(ProxyError) as caught:
        await read_body(request, 100, 0.05)
    assert (caught.value.status, caught.value.type) == (408, "timeout_error")

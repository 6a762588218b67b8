from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from proxies.config.models import Deployment
from proxies.errors import ProxyError
from proxies.front.observing.record import NO_ROUTE, Interval, RequestRecord, current, opened, request_id
from proxies.upstream_errors import upstream_error


def record(**known: Any) -> RequestRecord:
    made = RequestRecord(whole=True, status=200)
    for name, value in known.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("given", ["a", "my-request_1.2", "01JABC~x:y@z/a+b=", "x" * 128])
def test_a_plain_id_of_the_client_is_kept(given: str) -> None:
    """Who sends an id finds the request by it."""
    assert request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", "a\r\nb", "a\n", "é", '"', "\x00", "a,b"])
def test_any_other_id_is_replaced(given: str | None) -> None:
    """What is long or could end a line gets a fresh id, another one each time."""
    made = {request_id(given), request_id(given)}
    assert len(made) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize(
    ("known", "outcome", "status"),
    [
        ({}, "ok", 200),
        ({"status": 404}, "failed", 404),
        ({"status": 502, "failure": ProxyError(502, "x")}, "failed", 502),
        ({"failure": ProxyError(502, "x")}, "stream_failed", 200),
        ({"whole": False}, "client_disconnected", 499),
        ({"whole": False, "status": None}, "client_disconnected", 499),
        ({"whole": False, "broken": OSError()}, "client_disconnected", 499),
        ({"whole": False, "broken": asyncio.CancelledError()}, "aborted", 200),
        ({"whole": False, "status": None, "broken": KeyError()}, "aborted", 500),
    ],
)
def test_what_came_of_it(known: dict[str, Any], outcome: str, status: int) -> None:
    """Each way in which a request can end has its name, and a status for it."""
    assert (record(**known).outcome, record(**known).final_status) == (outcome, status)


def test_the_provider_s_own_status() -> None:
    """It is the one before our table changes it; unknown where nobody answered, or nothing was asked."""
    asked = Interval()
    asked.begin()
    failed = upstream_error(408, "Request timed out.", answered=True)
    assert (failed.status, record(failure=failed).upstream_status) == (504, 408)
    refused = upstream_error(500, "Connection error.", answered=False)
    assert record(failure=refused, status=502, upstream=asked).upstream_status is None
    assert record(upstream=asked).upstream_status == 200
    assert record().upstream_status is None


def test_the_overhead_is_what_is_left() -> None:
    """Of the whole time: without the client's sending, the memories and the call upstream; None without a call."""
    made = record()
    for name, seconds in (("total", 10.0), ("reading", 1.0), ("memory", 2.0), ("upstream", 3.0)):
        interval = getattr(made, name)
        interval.begun, interval.ended = 5.0, 5.0 + seconds
    assert made.overhead == 4.0
    made.upstream = Interval()
    assert made.overhead is None


def test_first_token_of_streams_alone() -> None:
    """A plain answer has no first token."""
    made = record(first_byte=7.5, streamed=True)
    made.total.begun = 5.0
    assert made.first_token == 2.5
    made.streamed = False
    assert made.first_token is None


def test_an_interval_ends_once() -> None:
    """The end counts that came first, and none that came before the beginning."""
    interval = Interval()
    interval.end()
    assert interval.seconds is None
    interval.begin()
    interval.end()
    ended = interval.ended
    interval.end()
    assert interval.ended == ended


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ([{"usage": {"prompt_tokens": 1, "completion_tokens": 2}}], (1, 2)),
        ([{"usage": {"input_tokens": 1, "output_tokens": 2}}], (1, 2)),
        (
            [
                {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
                {"type": "content_block_delta", "delta": {}},
                {"type": "message_delta", "usage": {"output_tokens": 5}},
            ],
            (9, 5),
        ),
        (
            [{"type": "response.completed", "response": {"usage": {"input_tokens": 1, "output_tokens": 2}}}],
            (1, 2),
        ),
        ([{"usage": None}, {"usage": "many"}, {"message": "x"}, {}], (None, None)),
        ([{"usage": {"prompt_tokens": "1", "completion_tokens": None}}], (None, None)),
    ],
)
def test_usage(said: list[dict[str, Any]], tokens: tuple[int | None, int | None]) -> None:
    """Tokens are read from both dialects, answers and chunks, and from nothing that only looks like them."""
    made = record()
    for chunk in said:
        made.note_usage(chunk)
    assert (made.input_tokens, made.output_tokens) == tokens


@pytest.mark.parametrize(
    ("params", "provider"),
    [
        ({"model": "openai/gpt-4o"}, "openai"),
        ({"model": "groq/meta/llama"}, "groq"),
        ({"model": "gpt-4o"}, ""),
        ({"model": "gpt-4o", "custom_llm_provider": "azure"}, "azure"),
    ],
)
def test_the_model_and_who_serves_it(params: dict[str, Any], provider: str) -> None:
    """The first deployment of the group says whose the model is."""
    made = record()
    made.note_model("m", [Deployment(model_name="m", litellm_params=params)])
    assert (made.model, made.known, made.provider) == ("m", True, provider)


def test_a_model_that_nobody_configured() -> None:
    """Its name is kept, and that nobody knows it."""
    made = record()
    made.note_model("m", [])
    assert (made.model, made.known, made.provider) == ("m", False, "")


async def test_the_current_one() -> None:
    """Tasks that a request starts see its record, others don't, and outside there is one that nobody reads."""

    async def seen(look: Callable[[], RequestRecord]) -> RequestRecord:
        return look()

    with opened(RequestRecord()) as made:
        assert current() is made
        assert await asyncio.create_task(seen(current)) is made
        with opened(RequestRecord()) as inner:
            assert current() is inner
        assert current() is made
    assert current() is not made
    assert current().route == NO_ROUTE
    assert made.total.seconds is not None

"""Calls in one form, whichever way they go out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from parity.observation.model import UpstreamCall
from parity.recording import calls

DEPLOYMENT = {"model": "openai/gpt-4o-mini", "api_base": "http://provider.invalid/v1", "api_key": "key"}


def posted(body: Any, **headers: str) -> httpx.Request:
    url = "http://litellm.invalid/v1/chat/completions"
    return httpx.Request("POST", url, json=body, headers=headers)


def call(**body: Any) -> UpstreamCall:
    return UpstreamCall(route="chat/completions", model="m", body=body)


def test_both_ways_come_to_the_same() -> None:
    """The same request, forwarded over HTTP or made as a call of acompletion, is the same call."""
    messages = [{"role": "user", "content": "Hi"}]
    over_http = calls.from_http(
        posted(
            {
                "model": "alias",
                "messages": messages,
                "stream": True,
                "extra_headers": {"X-SM-User-Id": "ada"},
            },
            authorization="Bearer sk-the-process-key",
        )
    )
    in_process = calls.from_arguments(
        "chat/completions",
        "alias",
        {
            **DEPLOYMENT,
            "messages": messages,
            "stream": True,
            "extra_headers": {"x-sm-user-id": "ada"},
            "client": object(),
            "timeout": 600,
            "max_retries": 0,
        },
        DEPLOYMENT,
    )
    assert calls.canonical(over_http) == calls.canonical(in_process)
    assert over_http == UpstreamCall(
        route="chat/completions",
        model="alias",
        headers={"x-sm-user-id": "ada"},
        body={"messages": messages, "stream": True},
    )


def test_headers_of_the_hop_are_left_out() -> None:
    """What carries the request says nothing about the call; what is for the provider stays."""
    made = calls.from_http(posted({}, authorization="Bearer x", traceparent="00-1", **{"user-agent": "y"}))
    assert made.headers == {"traceparent": "00-1"}


def test_headers_do_not_depend_on_order_or_case() -> None:
    """Two calls whose headers differ in order and case only are the same call."""
    one = calls.from_arguments("r", "m", {"extra_headers": {"B": "2", "a": "1"}}, {})
    other = calls.from_arguments("r", "m", {"extra_headers": {"A": "1", "b": "2"}}, {})
    assert calls.canonical(one) == calls.canonical(other)


@pytest.mark.parametrize(
    ("content", "body"),
    [(b"", None), (b"no json", "no json"), (b"[1]", [1]), (b"\xff", "\N{REPLACEMENT CHARACTER}")],
)
def test_a_body_that_is_no_object(content: bytes, body: Any) -> None:
    """Any body has a form: none, a list, or the text where it is no JSON."""
    request = httpx.Request("POST", "http://litellm.invalid/v1/files", content=content)
    assert calls.from_http(request) == UpstreamCall(route="files", body=body)


def test_what_the_deployment_says_is_left_out_and_no_more() -> None:
    """A parameter of the config is no part of the call, unless the client's value is another one."""
    deployment = {**DEPLOYMENT, "temperature": 0.5}
    for asked, body in ((0.5, {}), (0.7, {"temperature": 0.7})):
        arguments = {**deployment, "temperature": asked}
        assert calls.from_arguments("r", "m", arguments, deployment).body == body


def test_secrets_are_masked() -> None:
    """No key that travels in a header or a body is in a call's form, so none gets into a fault."""
    secret = "sk-abcdef0123456789abcdef"
    made = calls.from_http(
        posted({"api_key": secret, "messages": [f"my key is {secret}"]}, **{"x-api-key": secret})
    )
    assert "x-api-key" in made.headers
    assert secret not in calls.canonical(made)
    assert secret not in calls.nearest(made, [call()])
    in_process = calls.from_arguments("r", "m", {"extra_headers": {"x-api-key": secret}, "user": secret}, {})
    assert secret not in calls.canonical(in_process)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"stop": None}, {}), ({"n": 1}, {"n": True}), ({"n": 1}, {"n": 1.0}), ({"m": [1, 2]}, {"m": [2, 1]})],
)
def test_near_misses_are_no_match_and_are_named(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Absent and null, numbers and booleans, lists in another order: each differs, and the fault says where."""
    assert calls.canonical(call(**one)) != calls.canonical(call(**other))
    (key,) = one
    assert f"body.{key}: recorded" in calls.nearest(call(**one), [call(**other)])


def test_canonical_ignores_the_order_of_keys() -> None:
    """An object written in another order is the same object."""
    one, other = call(a=1, b={"c": 2, "d": 3}), call(b={"d": 3, "c": 2}, a=1)
    assert calls.canonical(one) == calls.canonical(other)
    assert json.loads(calls.canonical(one))["body"]["b"] == {"c": 2, "d": 3}


def test_nearest_names_exactly_the_differences() -> None:
    """Against the most similar recorded call, each path that differs is shown with both values."""
    made = call(messages=["Hi"], temperature=1, user="ada")
    recorded = [call(tools=["much", "else"]), call(messages=["Hi"], temperature=2)]
    assert calls.nearest(made, recorded) == (
        "the nearest recorded call differs in body.temperature: recorded 2, made 1; "
        'body.user: recorded nothing, made "ada"'
    )


def test_nearest_without_any_recorded_call() -> None:
    """A recording without calls says that none was due."""
    assert "no call at all" in calls.nearest(call(), [])

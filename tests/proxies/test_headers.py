"""The allow-lists of both directions."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from proxies.errors import ProxyError
from proxies.headers import for_client, for_provider, from_litellm


def test_towards_the_provider() -> None:
    """Only what the provider needs travels on, in lower case."""
    passing = {
        "Anthropic-Version": "1",
        "anthropic-beta": "2",
        "OpenAI-Organization": "3",
        "traceparent": "4",
    }
    stopped = dict.fromkeys(
        (
            "authorization",
            "x-api-key",
            "cookie",
            "host",
            "content-length",
            "connection",
            "te",
            "x-sm-user-id",
            "user-agent",
            "anthropic-dangerous-direct-browser-access",
            "openai",
            "xopenai-a",
            "x-openai-b",
        ),
        "no",
    )
    assert for_provider(passing | stopped) == {name.lower(): value for name, value in passing.items()}


def test_towards_the_client() -> None:
    """Request ids, rate limits and `retry-after` pass; what leaks the backend doesn't."""
    passing = {
        "Retry-After": "7",
        "x-request-id": "r",
        "request-id": "q",
        "x-ratelimit-remaining-tokens": "1",
        "openai-processing-ms": "2",
        "anthropic-ratelimit-requests-limit": "3",
    }
    stopped = dict.fromkeys(
        (
            "set-cookie",
            "llm_provider-retry-after",
            "x-litellm-call-id",
            "content-length",
            "server",
            "connection",
            "transfer-encoding",
            "content-encoding",
            "x-ratelimit",
            "cf-ray",
        ),
        "no",
    )
    assert for_client(passing | stopped) == {name.lower(): value for name, value in passing.items()}


def test_out_of_litellm() -> None:
    """The provider's headers are the prefixed ones; LiteLLM's own under plain names are not."""
    assert from_litellm({"LLM_provider-Retry-After": "7", "request-id": "made up", "x-litellm-a": "b"}) == {
        "retry-after": "7"
    }


def test_repeated_headers_are_joined() -> None:
    """A header that is given twice means a list, and travels as one."""
    twice = Headers(raw=[(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b")])
    assert for_provider(twice) == {"anthropic-beta": "a, b"}


def test_what_cannot_be_written_is_left_out() -> None:
    """A value beyond ASCII fits in no header line."""
    assert for_client({"x-request-id": "Ж", "retry-after": "7"}) == {"retry-after": "7"}


@pytest.mark.parametrize("value", ["a\r\nx-other: b", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7f"])
def test_a_control_character_is_refused(value: str) -> None:
    """It is refused where the header would travel on, naming it, and ignored where it would not."""
    with pytest.raises(ProxyError) as refused:
        for_provider({"Anthropic-Beta": value})
    assert (refused.value.status, refused.value.param) == (400, "Anthropic-Beta")
    assert for_provider({"x-private": value, "anthropic-beta": "a\tb"}) == {"anthropic-beta": "a\tb"}

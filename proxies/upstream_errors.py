"""Says what a failed call to the provider means to the client: status, code and a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from proxies.errors import (
    TIMED_OUT,
    UNREACHABLE,
    UNREADABLE,
    ProxyError,
    status_line,
)
from proxies.litellm_refusals import refused_by_litellm
from proxies.provider_message import Said, clean_message
from proxies.sessions import STALLED
from proxies.support.jsontext import json_object


def upstream_error(
    status: int,
    text: str,
    *,
    answered: bool,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    unasked: str | None = None,
    unread: bool = False,
) -> ProxyError:
    """Turn a failed upstream call into the error that the client gets.

    `status` and `text` are LiteLLM's, from the process's body or the exception's message; `answered` says
    whether the provider is known to have sent a status line; `code` and `param` are the provider's where
    the caller has them; `headers` are the provider's as they came. `unasked` is the
    route of a call that failed before the provider was asked: LiteLLM's sentence may then quote the whole request.
    `unread`: the provider's answer was a success; LiteLLM's sentence may then quote that.
    """
    said = clean_message(text)
    sentence = said.sentence
    their_status = status if answered else None
    status, failure = _cause(status, text, said, answered)
    if failure is None and unread and status in (400, 500):
        status, failure = 502, UNREADABLE
    if failure is not None:
        error = ProxyError(status, failure)
    elif unasked is not None and status in (400, 500):
        error = refused_by_litellm(text, unasked)
    else:
        if not sentence:
            sentence = f"The provider answered {status_line(status)}."
        code = _code(status, text, sentence, code or said.code)
        error = ProxyError(status, sentence, code=code, param=param)
    error.upstream_status = their_status
    error.upstream_headers = dict(headers or {})
    return error


def connection_error(error: httpx.HTTPError, unreachable: str = UNREACHABLE) -> ProxyError:
    """Turn a call that ended without a whole answer into the error that the client gets."""
    return (
        ProxyError(504, TIMED_OUT)
        if isinstance(error, httpx.TimeoutException)
        else ProxyError(502, unreachable)
    )


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that `text` is, else raise `ProxyError` 502: whoever sent it answers with nothing else."""
    if (value := json_object(text)) is None:
        raise ProxyError(502, UNREADABLE)
    return value


# LiteLLM answers all of these with 500 and only its wording tells them apart. Both HTTP stacks are covered:
# the process talks aiohttp, the SDK with a session of its own talks httpx.
_CONNECTION = re.compile(
    r"^Connection error\.?$|Cannot connect to host|Connection reset by peer|Server disconnected"
    r"|Response payload is not completed|peer closed connection|incomplete chunked read"
    r"|All connection attempts failed|Connection refused|Name or service not known|ConnectionResetError"
    r"|incomplete message body|without sending a response|closed the responses stream before any terminal event"
    r"|^Stream ended before a finish_reason was received"
)


_JSON_ERROR = re.compile(
    r"^(Expecting (value|property name|',' delimiter|':' delimiter)|Extra data|Unterminated string"
    r"|Invalid control character|Invalid \\escape|Illegal trailing comma)"
    r"[^\n]*: line \d+ column \d+ \(char \d+\)"
    r"|^Unable to get json response|^Empty or invalid response from LLM endpoint"
)


_UNREADABLE = re.compile(
    r"Exception - (Unable to get json response|Empty or invalid response from LLM endpoint)"
)


# On /v1/messages and /v1/responses LiteLLM raises this with nothing but the body that it could not read.
_RAW_BODY = re.compile(
    r"^litellm\.APIConnectionError: AnthropicException - \s*[{\[<]"
    r"|^litellm\.APIError: APIError: \w+Exception - \s*([{\[<]|$|LiteLLM: )"
)


_NO_COMPLETION = re.compile(
    r"LiteLLM: provider returned ('\w+' that is not a list|a response with no 'choices')"
)


# LiteLLM stumbles over a completion that lacks a field; its process then blames the request, with a 400.
# On embeddings it takes a web page for an answer.
_STUMBLED = re.compile(
    r"APIConnectionError: .*'ModelResponse\w*' object has no attribute"
    r"|Exception - 'str' object has no attribute 'model_dump'"
)


_OWN_TIMEOUT = re.compile(
    r"timeout value=|Timeout passed=|^(Request|Connection) timed out\.?$|[Rr]ead timeout"
    r"|^Timeout on reading data from socket$"
)


# What the guard of the clients says where it breaks off a body (`proxies.egress`).
_OVER_A_LIMIT = re.compile(
    r"The provider's answer is (larger than \d+ bytes|compressed more than \d+ times)\."
    r"|A frame of the provider's stream is larger than \d+ bytes\."
)


# What it says where an answer is none, or has no end (`proxies.chunks`).
_NO_ANSWER = re.compile(
    rf"{re.escape(UNREACHABLE)}|{re.escape(UNREADABLE)}|The provider failed before its answer was complete\."
    r"|The provider ended its answer with the finish reason \"[^\"]*\", which is unknown\."
)


_CONTEXT = re.compile(
    r"ContextWindowExceededError|context_length_exceeded|maximum context length|prompt is too long"
)


_POLICY = re.compile(r"ContentPolicyViolationError|content_policy_violation")


_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota")


def _cause(status: int, text: str, said: Said, answered: bool) -> tuple[int, str | None]:
    """The status that the client gets, and our own sentence where LiteLLM's is about its own machinery."""
    sentence = said.sentence
    if status == 408 and (_OWN_TIMEOUT.search(sentence) or not (sentence or said.html or answered)):
        return 504, TIMED_OUT
    if status == 408 and said.type == "timeout_error" and "APITimeoutError" in text:
        return 504, None  # Anthropic's 504, which LiteLLM takes for a timeout of its own
    if status == 400 and said.type == "request_too_large":
        return 413, None
    if status in (400, 500) and _STUMBLED.search(text):
        return 502, UNREADABLE
    if status == 500:
        if over := _OVER_A_LIMIT.search(text):
            return 502, over[0]
        if none := _NO_ANSWER.search(text):
            return 502, none[0]
        if sentence == STALLED:
            return 504, TIMED_OUT
        if _JSON_ERROR.search(sentence) or (said.html and _UNREADABLE.search(text)):
            return 502, UNREADABLE
        if _NO_COMPLETION.search(text) or _RAW_BODY.search(text):
            return 502, UNREADABLE
        if _CONNECTION.search(sentence) or not (sentence or said.type or said.html or answered):
            return 502, UNREACHABLE
        if said.type == "overloaded_error" or (sentence == "Overloaded" and "Anthropic" in text):
            return 529, None
    return status, None


def _code(status: int, text: str, sentence: str, said: str | None) -> str | None:
    if status == 400:
        if said == "context_length_exceeded" or _CONTEXT.search(text):
            return "context_length_exceeded"
        if said == "content_policy_violation" or _POLICY.search(text):
            return "content_policy_violation"
        return None if said is None or said.isdigit() else said
    if status == 404 and (said == "model_not_found" or re.search(r"\bmodel\b", sentence, re.IGNORECASE)):
        return "model_not_found"
    if status == 429 and (said == "insufficient_quota" or _QUOTA.search(sentence)):
        return "insufficient_quota"
    return None

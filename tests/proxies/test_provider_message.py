"""Unwrapping, on texts that the recorded errors don't hold."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.provider_message import Said, clean_message, of_validation


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Plain words.", "Plain words."),
        ("ValueError: not - LiteLLM's", "ValueError: not - LiteLLM's"),
        ("litellm.RateLimitError: RateLimitError: OpenAIException - Slow down", "Slow down"),
        ("litellm.APIError: APIError: OpenAIException - a - b: c", "a - b: c"),
        (
            "litellm.BadRequestError: OpenAIException - No.. Received Model Group=x\n"
            "Available Model Group Fallbacks=None LiteLLM Retried: 2 times, LiteLLM Max Retries: 2",
            "No",
        ),
        ("litellm.Timeout: Timeout Error: OpenAIException - Late\n\nDeployment Info: timeout: 2", "Late"),
        ("litellm.APIError: OpenAIException - Oh\nTraceback (most recent call last):\n  File x", "Oh"),
        (
            "litellm.APIError: APIError: OpenrouterException - Message: Died, Metadata: {'a': 1}, User ID: ",
            "Died",
        ),
        ("Message: Died, Metadata: {}, User ID: u", "Message: Died, Metadata: {}, User ID: u"),
        ("Error code: 400 - {'error': {'message': \"it's so\", 'code': None}}", "it's so"),
        ('Error code: 400 - {"error": {"message": "so"}}', "so"),
        (
            'litellm.X: GroqException - {"error": {"message": "Traceback (most recent call last): oh"}}'
            "\n\nLiteLLM: model group 'x' failed with the error above.",
            "Traceback (most recent call last): oh",
        ),
        ('litellm.X: GroqException - {"error": {"message": "', ""),
        ('litellm.X: OpenAIException - {"a": 1} is no tool', '{"a": 1} is no tool'),
        ('{"error": "short"}', "short"),
        ('{"message": "bare"}', "bare"),
        ('{"detail": "fastapi"}', "fastapi"),
        ("{not an object", "{not an object"),
        ("[1]", "[1]"),
        ("<html><body>502</body></html>", ""),
        ("<!DOCTYPE html>\n<p>", ""),
        ("", ""),
    ],
)
def test_sentence(text: str, sentence: str) -> None:
    """The wrapper goes, the provider's words stay, and what no wrapper made is left alone."""
    assert clean_message(text).sentence == sentence


def test_type_and_code_come_along() -> None:
    """The provider's `type` and `code` are read where its body is whole."""
    text = 'litellm.X: AnthropicException - b\'{"error": {"type": "t", "message": "m", "code": "c"}}\''
    assert clean_message(text) == Said("m", "t", "c")


def test_credentials_are_masked() -> None:
    """No key survives, whichever side masked it."""
    theirs = clean_message("litellm.AuthenticationError: OpenAIException - Key: REDACTED is wrong")
    ours = clean_message("litellm.AuthenticationError: OpenAIException - Key: sk-abcdefgh12345678 is wrong")
    assert theirs == ours == Said("Key: *** is wrong")


def _wrong(*loc: str | int, msg: str = "Field required") -> dict[str, Any]:
    return {"type": "missing", "loc": list(loc), "msg": msg, "input": {}}


@pytest.mark.parametrize(
    ("detail", "message", "param"),
    [
        ([_wrong("body", "file")], "file: Field required", "file"),
        ([_wrong("body", "a", 0, "b")], "a.0.b: Field required", "a.0.b"),
        ([_wrong("body", msg="Not JSON")], "Not JSON", None),
        ([_wrong("query", "a"), _wrong("body", "b", msg="No")], "a: Field required; b: No", "a"),
    ],
)
def test_what_fastapi_found_wrong(detail: Any, message: str, param: str | None) -> None:
    """Each field with what is wrong with it, and the first as the parameter."""
    assert of_validation(detail) == {"message": message, "param": param}


@pytest.mark.parametrize("detail", [None, "No", {"error": "No"}, [], ["No"], [{"msg": "No"}], [1], 1])
def test_what_fastapi_did_not_say(detail: Any) -> None:
    """Anything else is left to others."""
    assert of_validation(detail) is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    """No text makes it fail, wrapped or not."""
    for wrapped in (text, f"litellm.APIError: OpenAIException - {text}", f"Error code: 400 - {text}"):
        assert isinstance(clean_message(wrapped).sentence, str)


def test_a_long_run_of_blanks_takes_no_time() -> None:
    """The work grows with the text and no faster: a provider's message must not hold up everyone else."""
    head = "litellm.BadRequestError: OpenAIException - "
    started = time.perf_counter()
    for blank in (" ", "\n", "\t", ".", " \n"):
        clean_message(head + blank * 100_000 + "x")
    assert time.perf_counter() - started < 20  # it was minutes for a hundredth of this

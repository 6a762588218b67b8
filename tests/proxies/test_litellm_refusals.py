"""LiteLLM's own refusals, as it words them, and what becomes of them."""

from __future__ import annotations

import pytest

from proxies.errors import ProxyError
from proxies.litellm_refusals import is_litellms_own, refused_by_litellm
from proxies.upstream_errors import upstream_error

SECRET = "the secret"
CONVERSATION = (
    f"\nReceived Messages=[{{'role': 'user', 'content': '{SECRET}, tools, tool_choice, image_url'}}]"
)
# As LiteLLM 1.106.2 says them.
SAID = {
    f"litellm.BadRequestError: AnthropicException - litellm.BadRequestError: Invalid Message passed in "
    f"{{'role': 'wizard', 'content': '{SECRET}'}}{CONVERSATION}": ("A message has a role", "messages"),
    f"litellm.BadRequestError: AnthropicException - Failed to parse tool call arguments for tool 'f' (Anthropic tool "
    f"invoke). Error: Expecting value: line 1 column 7 (char 6). Arguments: {SECRET}{CONVERSATION}": (
        "The arguments of a tool call",
        "messages",
    ),
    f"litellm.BadRequestError: Invalid tool choice, tool_choice={{'type': '{SECRET}'}}. Please ensure tool_choice "
    "follows the OpenAI spec": ("This is no tool choice", "tool_choice"),
    f"Incompatible tool choice param submitted - {{'type': '{SECRET}'}}": (
        "This is no tool choice",
        "tool_choice",
    ),
    f"litellm.APIConnectionError: Unsupported tool type: {SECRET}": ("A tool has a form", "tools"),
    "litellm.UnsupportedParamsError: anthropic does not support parameters: ['frequency_penalty', 'seed'], for "
    "model=claude. To drop these, set `litellm.drop_params=True`": (
        "The provider of this model does not support 'frequency_penalty', 'seed'.",
        "frequency_penalty",
    ),
    "litellm.UnsupportedParamsError: Setting {'dimensions': 7} is not supported by anthropic. To drop it from the "
    "call, set `litellm.drop_params = True`.": (
        "The provider of this model does not support 'dimensions'",
        "dimensions",
    ),
    "litellm.BadRequestError: Unmapped LLM provider for this endpoint. You passed model=claude": (
        "The provider of this model has no such route.",
        "model",
    ),
    "litellm.APIConnectionError: APIConnectionError: OpenAIException - Invalid user message at index 0. Please "
    "ensure all user messages are valid OpenAI chat completion messages.": (
        "A message has a role",
        "messages",
    ),
}


@pytest.mark.parametrize("text", SAID, ids=[text[:60] for text in SAID])
def test_in_our_words(text: str) -> None:
    """It is a 400 with a sentence of ours and the culprit's name, and nothing of the request is in it."""
    sentence, param = SAID[text]
    error = refused_by_litellm(text, "chat/completions")
    assert (error.status, error.type, error.param) == (400, "invalid_request_error", param)
    assert error.message.startswith(sentence)
    assert SECRET not in error.message
    assert is_litellms_own(text)


def test_whatever_else_it_says() -> None:
    """What nobody has met yet is told without a word of it."""
    error = refused_by_litellm(f"litellm.APIConnectionError: string indices: {SECRET}", "chat/completions")
    assert (error.status, error.param) == (400, None)
    assert SECRET not in error.message


def test_a_conversation_goes_by_its_name_on_the_route() -> None:
    """On responses it is `input`."""
    assert refused_by_litellm("Invalid Message passed in", "responses").param == "input"


@pytest.mark.parametrize("status", [400, 500])
def test_only_what_was_not_asked(status: int) -> None:
    """The same words are the provider's own where it was asked."""
    text = "litellm.BadRequestError: OpenAIException - Invalid Message passed in"
    mine = upstream_error(status, text, answered=False, unasked="messages")
    theirs = upstream_error(status, text, answered=True)
    assert (mine.status, mine.param) == (400, "messages")
    assert (theirs.status, theirs.message) == (status, "Invalid Message passed in")


@pytest.mark.parametrize(
    "text", ["No.", "litellm.BadRequestError: OpenAIException - Invalid 'messages[0].role'."]
)
def test_a_providers_sentence_is_none_of_litellms(text: str) -> None:
    """Where nobody has noted whether a provider was asked, its sentences are kept."""
    assert not is_litellms_own(text)


def test_a_limit_is_told_whatever_litellm_makes_of_it() -> None:
    """An answer that was broken off for its size is a 502 with the limit in it."""
    error = upstream_error(
        500,
        "litellm.InternalServerError: XException - A frame of the provider's stream is larger than 9 bytes.. Handle",
        answered=False,
    )
    assert isinstance(error, ProxyError)
    assert (error.status, error.message) == (502, "A frame of the provider's stream is larger than 9 bytes.")

"""Templates are recordings with the asked fields replaced; tests/live compares them with a real LiteLLM."""

from __future__ import annotations

from typing import Any

import pytest

from parity.kit import (
    ProxyClient,
    ToolCall,
    mock_completion_response,
    mock_error_response,
    mock_message_response,
    mock_models_list,
    mock_routing_info,
    mock_streaming_chunks_sequence,
    samples,
)


def changed(template: Any, recorded: Any, path: str = "") -> set[str]:
    """The paths in which two JSON values differ."""
    if isinstance(template, dict) and isinstance(recorded, dict):
        keys = template.keys() | recorded.keys()
        return {p for key in keys for p in changed(template.get(key), recorded.get(key), f"{path}.{key}")}
    if isinstance(template, list) and isinstance(recorded, list) and len(template) == len(recorded):
        pairs = enumerate(zip(template, recorded, strict=True))
        return {p for index, (a, b) in pairs for p in changed(a, b, f"{path}[{index}]")}
    return set() if template == recorded else {path.removeprefix(".")}


def test_as_recorded() -> None:
    """What isn't asked for stays as it was recorded."""
    plain = samples.body("chat.plain", "process")
    assert mock_completion_response(model="chat.plain") == plain
    asked = mock_completion_response(
        "Hi", model="mine", finish_reason="length", usage={"completion_tokens": 1}
    )
    assert changed(asked, plain) == {
        "model",
        "choices[0].message.content",
        "choices[0].finish_reason",
        "usage.completion_tokens",
        "usage.total_tokens",
    }
    assert asked["usage"]["total_tokens"] == 20


def test_tool_calls() -> None:
    """Tool calls replace the recorded one, the content is null, the finish reason theirs."""
    calls = [ToolCall("look", {"at": "me"}), ToolCall("listen", '{"to":', "call_2")]
    choice = mock_completion_response(tool_calls=calls)["choices"][0]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "look", "arguments": '{"at": "me"}'},
        {"name": "listen", "arguments": '{"to":'},
    ]


def test_message() -> None:
    """A message says finish reason and usage in Anthropic's words."""
    plain = samples.body("messages.plain", "process")
    asked = mock_message_response("Hi", model="mine", finish_reason="length", usage={"completion_tokens": 1})
    assert changed(asked, plain) == {"model", "content[0].text", "stop_reason", "usage.output_tokens"}
    assert asked["stop_reason"] == "max_tokens"


def test_stream() -> None:
    """A stream opens and ends as recorded; text is cut into words, a list stays as it is cut."""
    chunks = mock_streaming_chunks_sequence("Hello big world", finish_reason="length")
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"].get("content") for choice in choices] == ["", "Hello", " big", " world", None]
    assert choices[0]["delta"]["role"] == "assistant"
    assert choices[-1]["finish_reason"] == "length"
    pieces = mock_streaming_chunks_sequence(["He", "llo"])
    assert [chunk["choices"][0]["delta"].get("content") for chunk in pieces] == ["", "He", "llo", None]


@pytest.mark.parametrize("text", ["", " ", "a", " a  b\n", "a\n\n- b\n", "日本語 です"])
def test_no_text_is_lost(text: str) -> None:
    """The pieces of a stream add up to the text, whatever its blanks."""
    chunks = mock_streaming_chunks_sequence(text)
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == text


def test_error() -> None:
    """The sentence is replaced inside of what LiteLLM puts around it, quotes and all."""
    told = mock_error_response(429, 'Not "now".', model="mine")["error"]
    assert told["message"].startswith('litellm.RateLimitError: RateLimitError: OpenAIException - Not "now".')
    assert "model group 'mine' failed" in told["message"]
    assert (told["type"], told["code"]) == ("throttling_error", "429")
    message = mock_error_response(429, 'Not "now".', route="messages")["error"]["message"]
    assert '"message":"Not \\"now\\"."' in message


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give either status or kind"),
        ({"status": 429, "kind": "timeout"}, "give either status or kind"),
        (
            {"status": 418},
            r"no error with status 418 was recorded on /v1/chat/completions; there are: 400, .*529",
        ),
        ({"kind": "context_length", "route": "messages"}, "there are: timeout, unreachable"),
        ({"kind": "context_length", "message": "Too long."}, "leave the message out"),
    ],
)
def test_error_that_was_never_seen(options: dict[str, Any], sentence: str) -> None:
    """An error that no recording shows can't be made up."""
    with pytest.raises(ValueError, match=sentence):
        mock_error_response(**options)


def test_what_the_proxies_answer_themselves(test_client: ProxyClient) -> None:
    """Models and routing info are those of the real application, byte for byte."""
    names = ["gpt-4o-mini", "claude-sonnet-4-5", "gpt-4o"]
    assert test_client.get("/v1/models").json() == mock_models_list(names)
    for options, headers in (
        ({}, {"user-agent": "curl/8"}),
        ({"user_agent": "Claude Code/1"}, {"user-agent": "Claude Code/1"}),
        ({"user_id": "ann"}, {"x-memory-user-id": "ann"}),
    ):
        answered = test_client.get("/memory-routing/info", headers=headers).json()
        assert mock_routing_info(**options) == answered


def test_routing_info_of_other_mappings() -> None:
    """The decision is the proxies' own, also with mappings of one's own."""
    mappings = {"custom_header": "x-who", "default_user_id": "nobody", "header_patterns": []}
    assert mock_routing_info(user_id_mappings=mappings)["user_id"] == "nobody"
    assert mock_routing_info(user_id="ann", user_id_mappings=mappings)["custom_header_present"] is True

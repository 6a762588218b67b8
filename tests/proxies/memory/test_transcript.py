from __future__ import annotations

from typing import Any

import pytest

from proxies.memory.transcript import Transcript


def chunk(content: Any = None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": content}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("answer", "text", "finished"),
    [
        ({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}, "hi", True),
        ({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}, "a", False),
        ({"choices": [{"message": {"content": None}, "finish_reason": "tool_calls"}]}, "", False),
        ({"choices": [{"message": {"content": "x"}, "finish_reason": "content_filter"}]}, "x", False),
        (
            {"type": "message", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"},
            "hi",
            True,
        ),
        ({"type": "message", "content": [{"type": "tool_use"}], "stop_reason": "tool_use"}, "", False),
        (
            {
                "object": "response",
                "status": "completed",
                "output": [
                    {"type": "reasoning", "summary": []},
                    {"type": "web_search_call"},
                    {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
                ],
            },
            "hi",
            True,
        ),
        ({"object": "response", "status": "completed", "output": [{"type": "function_call"}]}, "", False),
        (
            {"object": "response", "status": "completed", "output": [{"type": "mcp_approval_request"}]},
            "",
            False,
        ),
        (
            {
                "object": "response",
                "status": "incomplete",
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "h"}]}, 7],
            },
            "h",
            False,
        ),
        ({"choices": [7]}, "", False),
        ({"choices": None}, "", False),
    ],
)
def test_whole_answers(answer: dict[str, Any], text: str, finished: bool) -> None:
    """Every dialect is read; what calls a tool that the client is to answer doesn't end a turn."""
    transcript = Transcript()
    transcript.add_answer(answer)
    assert (transcript.text, transcript.finished) == (text, finished)


def test_chunks() -> None:
    """A stream of chunks adds up to choice 0's text, whatever else comes between."""
    transcript = Transcript()
    for piece in (
        chunk(""),
        chunk("In "),
        chunk("x", index=1),
        {"choices": []},
        {"odd": 1},
        chunk("Oslo.", "stop"),
    ):
        assert not transcript.finished
        transcript.add_chunk(piece)
    assert (transcript.text, transcript.finished, transcript.closed) == ("In Oslo.", True, False)
    transcript.add_chunk(chunk(None, "tool_calls"))
    assert not transcript.finished


def test_events() -> None:
    """So do Anthropic's events, whose last one is known; thinking isn't said."""
    transcript = Transcript()
    for event in (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "In Oslo."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ):
        transcript.add_chunk(event)
    assert not transcript.closed
    transcript.add_chunk({"type": "message_stop"})
    assert (transcript.text, transcript.finished, transcript.closed) == ("In Oslo.", True, True)


@pytest.mark.parametrize(("status", "finished"), [("completed", True), ("incomplete", False)])
def test_the_last_event_of_a_response(status: str, finished: bool) -> None:
    """It holds all that was said, so that what came before needs no adding up."""
    transcript = Transcript()
    transcript.add_chunk({"type": "response.output_text.delta", "delta": "In "})
    assert (transcript.text, transcript.closed) == ("", False)
    said = [{"type": "message", "content": [{"type": "output_text", "text": "In Oslo."}]}]
    response = {"object": "response", "status": status, "output": said}
    transcript.add_chunk({"type": f"response.{status}", "response": response})
    assert (transcript.text, transcript.finished, transcript.closed) == ("In Oslo.", finished, True)

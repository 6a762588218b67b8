"""Anthropic's events put together as a client would."""

from __future__ import annotations

from typing import Any

from parity.observation.fold import fold
from parity.observation.model import Frame


def frames(*data: dict[str, Any]) -> list[Frame]:
    return [Frame(event=item["type"], data=item) for item in data]


def start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": "msg_1", "usage": usage}}


def block(index: int, **content: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **change: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": change}


def test_blocks_add_up() -> None:
    """Text, thinking and tool inputs are gathered by block, however their pieces take turns."""
    message = fold(
        frames(
            start(input_tokens=3, output_tokens=1),
            block(0, type="thinking", thinking="", signature=""),
            block(1, type="text", text="Go"),
            block(2, type="tool_use", id="toolu_1", name="look", input={}),
            delta(0, type="thinking_delta", thinking="Hm"),
            delta(2, type="input_json_delta", partial_json='{"a"'),
            delta(1, type="text_delta", text="od"),
            delta(2, type="input_json_delta", partial_json=": 1}"),
            delta(0, type="signature_delta", signature="sig"),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        )
    )
    assert message.texts == ["Good"]
    assert (message.thinking, message.signature) == ("Hm", "sig")
    assert message.tool_calls == [{"id": "toolu_1", "name": "look", "arguments": '{"a": 1}'}]
    assert message.finish_reasons == ["tool_use"]
    assert message.usage == {"input_tokens": 3, "output_tokens": 7}
    assert message.error is None


def test_an_error_event_is_kept() -> None:
    """What came before an error stays, the error stands beside it."""
    error = {"type": "overloaded_error", "message": "Busy"}
    message = fold(
        frames(
            start(), block(0, type="text", text=""), delta(0, text="We"), {"type": "error", "error": error}
        )
    )
    assert message.texts == ["We"]
    assert message.finish_reasons == [None]
    assert message.error == error


def test_nonsense_is_passed_over() -> None:
    """A broken event changes nothing: the frames themselves are compared, too."""
    broken = [
        Frame(event="content_block_delta", data="text"),
        Frame(event="message_delta", data={"delta": 1}),
    ]
    message = fold(
        [*frames(start()), *broken, *frames({"type": "content_block_delta", "index": "x", "delta": {}})]
    )
    assert message.texts == [""]
    assert message.usage is None

"""The events of a response put together as a client would."""

from __future__ import annotations

from typing import Any

from parity.observation.fold import fold
from parity.observation.model import Frame


def frames(*data: dict[str, Any]) -> list[Frame]:
    return [Frame(event=item["type"], data=item) for item in data]


def event(name: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{name}", **members}


def text(item: int, delta: str) -> dict[str, Any]:
    return event("output_text.delta", output_index=item, content_index=0, delta=delta)


def test_items_add_up() -> None:
    """Texts, reasoning and the arguments of calls are gathered by item, however their pieces take turns."""
    message = fold(
        frames(
            event("created", response={"status": "in_progress"}),
            event("reasoning_summary_text.delta", output_index=0, delta="Hm"),
            text(2, "od"),
            event("function_call_arguments.delta", output_index=3, delta='{"a"'),
            text(1, "Go"),
            event("function_call_arguments.delta", output_index=3, delta=": 1}"),
            event(
                "output_item.done",
                output_index=3,
                item={"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "ignored"},
            ),
            event("completed", response={"status": "completed", "usage": {"total_tokens": 9}}),
        )
    )
    assert message.texts == ["Good"]
    assert message.thinking == "Hm"
    assert message.tool_calls == [{"id": "call_1", "name": "look", "arguments": '{"a": 1}'}]
    assert (message.finish_reasons, message.usage) == (["completed"], {"total_tokens": 9})
    assert message.error is None


def test_why_it_is_incomplete() -> None:
    """The reason stands where other streams have theirs."""
    last = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert fold(frames(event("incomplete", response=last))).finish_reasons == ["max_output_tokens"]


def test_an_error_event_is_kept() -> None:
    """What came before an error stays, the error stands beside it, and nothing says that it ended."""
    error = {"message": "Oh."}
    message = fold(frames(text(0, "We"), {"type": "error", "error": error}))
    assert (message.texts, message.error, message.finish_reasons) == (["We"], error, [None])


def test_nonsense_is_passed_over() -> None:
    """Events without what they should have change nothing."""
    message = fold(frames(event("output_text.delta", delta="x"), event("completed", response="what")))
    assert (message.texts, message.finish_reasons, message.usage) == ([""], [None], None)

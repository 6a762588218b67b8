"""Folding: what the frames of a stream add up to."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.observation.fold import fold
from parity.observation.model import Frame, StreamMessage


def chunk(*choices: dict[str, Any], **more: Any) -> Frame:
    return Frame(data={"object": "chat.completion.chunk", "choices": list(choices), **more})


def said(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": finish}


def tool(index: int, **part: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {"tool_calls": [{"index": index, **part}]}}


def test_nothing_adds_up_to_nothing() -> None:
    """No frames, comments or a lone `[DONE]` make an empty message."""
    assert fold([]) == StreamMessage()
    assert fold([Frame(data="[DONE]"), Frame(data=None), Frame(data=[1])]) == StreamMessage()


def test_content_is_joined_by_choice() -> None:
    """Each choice's text and finish_reason are its own, in the order of the indexes."""
    message = fold(
        [
            chunk(said("b", 1), said("a")),
            chunk(said("B", 1, "length")),
            chunk(said("A")),
            chunk({"index": 0, "delta": {"content": None}, "finish_reason": "stop"}),
            chunk({"index": 0, "delta": {}, "finish_reason": None}),
        ]
    )
    assert message.texts == ["aA", "bB"]
    assert message.finish_reasons == ["stop", "length"]


def test_a_skipped_choice_leaves_a_gap() -> None:
    """A choice that never came is visible, it does not move the others up."""
    message = fold([chunk(said("second", 1, "stop"))])
    assert message.texts == ["", "second"]
    assert message.finish_reasons == [None, "stop"]


def test_tool_calls_are_put_together_by_index() -> None:
    """Ids and names come once, arguments are concatenated, interleaved calls stay apart."""
    message = fold(
        [
            chunk(tool(0, id="call_1", type="function", function={"name": "weather", "arguments": ""})),
            chunk(tool(1, id="call_2", function={"name": "time", "arguments": '{"z":'})),
            chunk(tool(0, function={"arguments": '{"city":'})),
            chunk(tool(1, function={"arguments": "1}"})),
            chunk(tool(0, function={"arguments": '"Bonn"}'})),
        ]
    )
    assert message.tool_calls == [
        {"id": "call_1", "name": "weather", "arguments": '{"city":"Bonn"}'},
        {"id": "call_2", "name": "time", "arguments": '{"z":1}'},
    ]


def test_tool_calls_are_those_of_the_first_choice() -> None:
    """What another choice calls is not mixed in."""
    other = {**tool(0, id="call_9", function={"name": "x", "arguments": "{}"}), "index": 1}
    assert fold([chunk(said("a"), other)]).tool_calls == []


def test_a_skipped_tool_call_is_null() -> None:
    """A tool call whose index never came leaves a null in its place."""
    message = fold([chunk(tool(1, id="call_2", function={"name": "time", "arguments": "{}"}))])
    assert message.tool_calls == [None, {"id": "call_2", "name": "time", "arguments": "{}"}]


def test_usage_and_error_are_the_last_ones_given() -> None:
    """A later null takes nothing away."""
    message = fold(
        [
            chunk(usage={"total_tokens": 1}),
            chunk(usage={"total_tokens": 2}),
            chunk(usage=None),
            Frame(data={"error": {"message": "over"}}),
        ]
    )
    assert message.usage == {"total_tokens": 2}
    assert message.error == {"message": "over"}


def test_a_wild_index_makes_no_long_list() -> None:
    """An index beyond reason is a broken frame, not a request for memory."""
    assert fold([chunk(said("x", 10**9)), chunk(tool(10**9, id="x"))]).texts == [""]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 3), st.text())))
def test_no_character_is_lost_or_moved(parts: list[tuple[int, str]]) -> None:
    """However the pieces of several choices are interleaved, each text comes out whole and in order."""
    message = fold([chunk(said(text, index)) for index, text in parts])
    for index, text in enumerate(message.texts):
        assert text == "".join(piece for of, piece in parts if of == index)
    assert len(message.texts) == max((index for index, _ in parts), default=-1) + 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "index", "tool_calls", "function", "arguments", "content", "id", "usage"]
            ),
            inner,
        )
    ),
    max_leaves=30,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(JSON))
def test_any_json_can_be_folded(values: list[Any]) -> None:
    """Frames of any shape whatever add up to a message, and never to an exception."""
    fold(Frame(data=value) for value in values)

"""What LiteLLM keeps of a stream while it goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxies.support.litellm_streams import LARGE, MOST, Kept, joined, joined_events, keep_little
from tests import samples

pytest.importorskip("litellm")


def chunk(finish: str | None = None, *, index: int = 0, **delta: Any) -> Any:
    from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

    choice = StreamingChoices(index=index, delta=Delta(**delta), finish_reason=finish)
    return ModelResponseStream(id="c", created=1, model="m", object="chat.completion.chunk", choices=[choice])


CALL = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_pieces_of_a_text_are_joined_and_nothing_else() -> None:
    """Text, reasoning and choices stay apart, in their order; calls of tools and ends stay as they came."""
    came = [
        *(chunk(reasoning_content=piece) for piece in "ab"),
        *(chunk(role="assistant", content=piece) for piece in "cd"),
        *(chunk(index=1, content=piece) for piece in "ef"),
        *(chunk(tool_calls=CALL) for _ in range(2)),
        chunk(content="g"),
        chunk("stop", content="h"),
    ]
    whole = joined(came)
    deltas = [kept.choices[0].delta for kept in whole]
    assert [getattr(delta, "reasoning_content", None) or delta.content for delta in deltas] == [
        *("ab", "cd", "ef", None, None, "g", "h")
    ]
    assert [kept.choices[0].index for kept in whole] == [0, 0, 1, 0, 0, 0, 0]
    assert whole[3:] == came[6:]
    assert came[2].choices[0].delta.content == "c"  # it may not have been sent yet


def test_a_long_stream_is_kept_as_a_few_chunks() -> None:
    """LiteLLM puts them together in no time, to the same answer."""
    import litellm

    kept = Kept()
    for number in range(10 * MOST):
        kept.append(chunk(content=f"{number} "))
    assert len(kept) < 2 * MOST
    said = litellm.stream_chunk_builder(chunks=kept).choices[0].message.content  # type: ignore[union-attr]
    assert said == "".join(f"{number} " for number in range(10 * MOST))


def test_what_can_not_be_joined_is_looked_at_seldom() -> None:
    """However many such chunks there are, each is looked at a few times only."""
    kept, looked = Kept(), 0

    class Odd:
        @property
        def choices(self) -> None:
            nonlocal looked
            looked += 1

    for _ in range(20 * MOST):
        kept.append(Odd())
    assert len(kept) == 20 * MOST
    assert looked < 100 * MOST


def test_litellms_streams_keep_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stream that LiteLLM makes does, from then on; doing it twice changes nothing more."""
    from litellm.litellm_core_utils.litellm_logging import Logging
    from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

    monkeypatch.setattr(CustomStreamWrapper, "__init__", CustomStreamWrapper.__init__)
    keep_little()
    changed = CustomStreamWrapper.__init__
    keep_little()
    assert CustomStreamWrapper.__init__ is changed
    logging: Any = Logging("m", [], True, "acompletion", None, "id", "function")
    made = CustomStreamWrapper(completion_stream=iter(()), model="m", logging_obj=logging)
    assert isinstance(made.chunks, Kept)


def events(*said: Any) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in said)


def delta(index: int = 0, **delta: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def test_pieces_of_a_block_are_joined_and_nothing_else() -> None:
    """Wherever the bytes were cut, each block has one event; other events and what is none stay as they came."""
    start, opened, *_, stop = samples.message_events("a")
    signature = delta(type="signature_delta", signature="s")
    odd = [delta(type="text_delta"), {**delta(), "delta": None}]
    came = events(
        start,
        opened,
        *(delta(type="thinking_delta", thinking=piece) for piece in "ab"),
        signature,
        *(delta(1, type="text_delta", text=piece) for piece in "cde"),
        *(delta(2, type="input_json_delta", partial_json=piece) for piece in "{}"),
        *odd,
        stop,
    )
    came += b"data: content_block_delta {\n\n"
    joined_up = b"".join(joined_events([came[:50], came[50:51], came[51:]]))
    assert (
        joined_up
        == events(
            start,
            opened,
            delta(type="thinking_delta", thinking="ab"),
            signature,
            delta(1, type="text_delta", text="cde"),
            delta(2, type="input_json_delta", partial_json="{}"),
            *odd,
            stop,
        )
        + b"data: content_block_delta {\n\n"
    )


async def test_a_long_message_is_logged_as_a_few_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM logs an end or a failure with the events of a long stream joined, those of a short one as they are."""
    handlers = pytest.importorskip("litellm.proxy.pass_through_endpoints.streaming_handler")
    got: list[Any] = []

    async def logged(raw_bytes: Any) -> None:
        got.append(raw_bytes)

    for name in ("route_streaming_logging_to_handler", "schedule_stream_failure_logging"):
        handler = handlers.PassThroughStreamingHandler
        monkeypatch.setattr(handler, name, staticmethod(logged))
        keep_little()
        short = [events(delta(type="text_delta", text="a"))]
        long = short * (LARGE // len(short[0]) + 1)
        for came in (short, long):
            await getattr(handler, name)(raw_bytes=came)
        assert got[-2] is short
        assert got[-1] == [events(delta(type="text_delta", text="a" * len(long)))]


def test_events_that_differ_in_their_text_alone_are_joined_as_written() -> None:
    """Also where the JSON is written otherwise than here, and with quotes in the text; what is no text stays."""
    written = b'data: {"type":"content_block_delta","index":0,"delta":{"text":%s,"type":"text_delta"}}\n\n'
    came = [written % text for text in (b'"\xc3\xa4\\""', b'"\\ud83d"', b'"\\ude00"')]
    assert joined_events(came) == [written % b'"\xc3\xa4\\"\\ud83d\\ude00"']
    odd = [written % b'"a"', written % b'"\\"', written % b'"\\x"']
    assert joined_events(odd) == odd


def test_all_that_a_client_was_sent_is_looked_at_joined() -> None:
    """LiteLLM finds the same text in a message's stream at its end, long or short, and does so with few events."""
    pytest.importorskip("litellm.proxy.pass_through_endpoints.streaming_handler")
    utils = pytest.importorskip("litellm.proxy.utils")
    if not hasattr(utils, "served_stream_output_texts"):
        pytest.skip("this LiteLLM doesn't look at what was sent")
    start, opened, piece, *ends = samples.message_events("a")
    pieces = LARGE // len(events(piece)) + 1
    keep_little()
    for number in (1, pieces):
        sent = [events(event) for event in (start, opened, *[piece] * number, *ends)]
        assert utils.served_stream_output_texts(sent) == ("a" * number,)
        assert utils.served_stream_output_texts.__wrapped__(sent) == ("a" * number,)
    assert len(joined_events(sent)) == 6

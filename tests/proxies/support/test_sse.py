"""Events survive every way of cutting their bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.support.sse import Event, SSEDecoder, encode


def decode(*chunks: bytes) -> list[Event]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.flush()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_fields_with_every_newline(newline: str) -> None:
    """Event, id, several data lines and comments are understood with every line ending."""
    text = ": hello\nevent: x\nid: 7\ndata: a\ndata:b\ndata\nretry: 5\nodd: 1\n\ndata: c\n\n".replace(
        "\n", newline
    )
    assert decode(text.encode()) == [Event("a\nb\n", "x", "7"), Event("c", "message", "7")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_event_leaves_with_its_blank_line(newline: str) -> None:
    """An event is not held back until more bytes come."""
    decoder = SSEDecoder()
    assert decoder.feed(f"data: a{newline}".encode()) == []
    assert decoder.feed(newline.encode()) == [Event("a")]
    assert decoder.feed(f"data: b{newline}{newline}".encode()) == [Event("b")]
    assert decoder.flush() == []


def test_crlf_cut_in_two() -> None:
    """The LF of a CRLF in the next chunk is no blank line of its own."""
    assert decode(b"event: e\r", b"\ndata: 1\r", b"\ndata: 2\r\n\r\n") == [Event("1\n2", "e")]


def test_byte_order_mark_is_dropped_once() -> None:
    """A BOM counts as nothing at the start, and as text later."""
    assert decode("\ufeffdata: a\n\ndata: \ufeff\n\n".encode()) == [Event("a"), Event("\ufeff")]


def test_end_without_blank_line() -> None:
    """What a provider said last is not lost when its last newline is missing."""
    assert decode(b"data: a\n\ndata: [DONE]") == [Event("a"), Event("[DONE]")]
    assert decode(b"data: a\n") == [Event("a")]
    assert decode(b": only a comment\n\n") == []


def test_broken_utf8_is_replaced() -> None:
    """Bytes that are no UTF-8 don't stop the stream."""
    assert decode(b"data: \xff\n\n", b"data: \xc3") == [Event("\ufffd"), Event("\ufffd")]


STREAM = "\ufeff: ping\r\n\r\ndata: zwölf 🐝\r\n\r\nevent: e\rdata: 1\rdata: 2\r\rdata: x\n\n"


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=12))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    """However the bytes are cut, the same events come out."""
    whole = STREAM.encode()
    edges = [0, *sorted(cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert decode(*pieces) == [Event("zwölf 🐝"), Event("1\n2", "e"), Event("x")]


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), st.sampled_from([None, "e"])
)
def test_encode_and_decode_are_inverse(data: str, event: str | None) -> None:
    """Any text without carriage returns comes back as it went."""
    assert decode(encode(data, event)) == [Event(data, event or "message")]

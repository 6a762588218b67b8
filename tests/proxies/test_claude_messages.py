"""Claude's messages that become another dialect's answers, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxies.chunks import data_of
from proxies.claude_messages import mended_events, mended_message
from tests import samples

THOUGHTS = [
    {"type": "thinking", "thinking": "27 is 3 cubed.", "signature": "s"},
    {"type": "redacted_thinking", "data": "d"},
]


def counted(said: dict[str, Any]) -> Any:
    return (said["usage"].get("output_tokens_details") or {}).get("thinking_tokens")


async def streamed(thought: dict[str, Any], **usage: Any) -> list[dict[str, Any]]:
    """The events that LiteLLM gets of a message that begins with `thought`."""
    start, text, *rest, delta, stop = samples.message_events("No.")
    opened = {"type": "content_block_start", "index": 0, "content_block": thought}
    delta["usage"] |= usage

    async def pieces() -> AsyncIterator[bytes]:
        for event in (start, opened, text, *rest, delta, stop):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    return [json.loads(data_of(event)) async for event in mended_events(pieces())]


@pytest.mark.parametrize("thought", THOUGHTS)
async def test_thoughts_that_nobody_counted_are_none(thought: dict[str, Any]) -> None:
    """LiteLLM, which would count them itself, is told a number that the front leaves out."""
    message = samples.message(content=[thought, {"type": "text", "text": "No."}])
    body, failure = mended_message(b"", message)
    assert (failure, counted(json.loads(body))) == ("", 0)
    *_, delta, _ = await streamed(thought)
    assert counted(delta) == 0


@pytest.mark.parametrize("thought", THOUGHTS)
async def test_thoughts_that_were_counted_stay_so(thought: dict[str, Any]) -> None:
    """What Anthropic says of them is handed on, and nobody's bytes are written anew."""
    usage = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 7}}
    message = samples.message(content=[thought], usage=usage)
    assert mended_message(b"as it came", message) == (b"as it came", "")
    *_, delta, _ = await streamed(thought, output_tokens_details={"thinking_tokens": 7})
    assert counted(delta) == 7


@pytest.mark.parametrize("changes", [{}, {"content": None}, {"content": THOUGHTS, "usage": None}])
def test_a_message_without_thoughts_or_usage_stays(changes: dict[str, Any]) -> None:
    """There is nothing to say of it."""
    assert mended_message(b"as it came", samples.message(**changes)) == (b"as it came", "")

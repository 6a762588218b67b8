"""Chat completions as the client gets them: what the provider wrote, and nothing of LiteLLM's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxies.chunks import NO_USAGE, marked, quoted
from proxies.dialects.chat import ChatFraming, as_said
from tests import samples

WRITTEN = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
GUESSED = {"reasoning_tokens": 0, "text_tokens": 2}
THOUGHT = {"reasoning_content": "Hm.", "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}]}


async def usages(*chunks: dict[str, Any]) -> list[Any]:
    """The usages of the chunks that leave."""

    async def given() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield chunk

    return [chunk["usage"] async for chunk in ChatFraming().checked(given(), "fast") if "usage" in chunk]


def ending(usage: dict[str, Any]) -> dict[str, Any]:
    return samples.chunk(delta={}, usage=usage)


@pytest.mark.parametrize("written", [WRITTEN, {**WRITTEN, "cost": 0.5, "queue_time": 1, "a": {"b": [0]}}])
async def test_a_streamed_usage_is_what_was_written(written: dict[str, Any]) -> None:
    """Whatever LiteLLM adds to a marked usage or takes from it, the client gets what the provider wrote."""
    marks = quoted(written)["prompt_tokens_details"]
    made = {**WRITTEN, "cost": 0.1, "completion_tokens_details": GUESSED, "prompt_tokens_details": marks}
    assert await usages(ending(json.loads(json.dumps(made)))) == [written]


async def test_a_usage_that_nobody_wrote_has_no_chunk() -> None:
    """LiteLLM's own count of a stream without a usage never leaves."""
    assert await usages(ending(marked(WRITTEN, NO_USAGE))) == []


async def test_another_apis_stream_names_no_cost() -> None:
    """None of them does, so a cost is LiteLLM's; its counts stay."""
    assert await usages(ending({**WRITTEN, "cost": 0.1})) == [WRITTEN]


async def test_thoughts_are_counted_by_the_provider_alone() -> None:
    """A count of none beside thoughts stands for none given, whole and streamed; without thoughts it is one."""
    none, some = (
        {"completion_tokens_details": GUESSED},
        {"completion_tokens_details": {"reasoning_tokens": 7}},
    )
    thinking = samples.chunk(delta=THOUGHT)
    assert await usages(thinking, ending({**WRITTEN, **none})) == [WRITTEN]
    assert await usages(thinking, ending({**WRITTEN, **some})) == [{**WRITTEN, **some}]
    assert await usages(ending({**WRITTEN, **none})) == [{**WRITTEN, **none}]
    more = {"completion_tokens_details": {**GUESSED, "audio_tokens": 1}}
    assert await usages(thinking, ending({**WRITTEN, **more})) == [
        {**WRITTEN, "completion_tokens_details": {"audio_tokens": 1}}
    ]
    choice = {"index": 0, "message": {"role": "assistant", "content": "No.", **THOUGHT}}
    assert as_said(samples.completion(choices=[choice], usage={**WRITTEN, **none}))["usage"] == WRITTEN
    plain = samples.completion(usage={**WRITTEN, **none})
    assert as_said(plain)["usage"] == {**WRITTEN, **none}

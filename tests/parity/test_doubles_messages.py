"""The double of `litellm.anthropic.messages.acreate`: a plain dict, or events as bytes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytest.importorskip("litellm")

from parity.observation.model import UpstreamCall
from parity.recording import calls
from parity.recording.file import Recording, SdkAnswer, SdkCall
from parity.recording.litellm_import import litellm
from parity.recording.sdk_objects import dump_exception
from parity.targets.doubles import Seen, mocked_sdk
from tests.parity.litellm_calls import DEPLOYMENT, MESSAGES

ARGUMENTS: dict[str, Any] = {**DEPLOYMENT, "messages": MESSAGES, "max_tokens": 9}
MESSAGE = {"id": "msg_1", "type": "message", "content": [{"type": "text", "text": "Hi"}]}
FRAMES = ['event: message_start\ndata: {"type": "message_start"}\n\n', "event: x\ndata: ☀️\n\n"]


def call(route: str = "messages", **arguments: Any) -> UpstreamCall:
    return calls.from_arguments(route, "alias", {**ARGUMENTS, **arguments}, DEPLOYMENT)


async def acreate(seen: Seen, answer: SdkAnswer | None, route: str = "messages", **arguments: Any) -> Any:
    sdk = [SdkCall(call=call(route, **arguments), answer=answer)]
    made = Recording(scenario="a.b", fingerprint="0", litellm="1.2.3", sdk=sdk)
    with mocked_sdk(made, seen, "alias", [DEPLOYMENT]):
        return await litellm.anthropic.messages.acreate(**ARGUMENTS, **arguments)


async def test_a_message_is_a_dict_of_the_callers_own() -> None:
    """Whoever changes an answer changes no recording."""
    answer = SdkAnswer(value=MESSAGE)
    first = await acreate(Seen(), answer)
    assert first == MESSAGE
    first["content"].clear()
    assert await acreate(Seen(), answer) == MESSAGE


async def test_events_come_as_bytes_with_the_providers_headers() -> None:
    """A stream yields what was recorded, one event each, and its headers are where LiteLLM puts them."""
    answer = SdkAnswer(frames=FRAMES, additional_headers={"llm_provider-request-id": "r"})
    seen = Seen()
    stream = await acreate(seen, answer, stream=True)
    assert stream._hidden_params["additional_headers"] == {"llm_provider-request-id": "r"}
    seen.lockstep.has_read()
    pieces = []
    async for piece in stream:
        pieces.append(piece)
        seen.lockstep.has_read()
    assert pieces == [frame.encode() for frame in FRAMES]
    assert seen.faults == []


async def test_a_stream_may_end_in_an_exception() -> None:
    """After the last event the recorded failure is raised; on this route LiteLLM wraps none."""
    answer = SdkAnswer(frames=FRAMES[:1], raises=dump_exception(httpx.ReadError("gone")))
    stream = await acreate(Seen(), answer, stream=True)
    assert await anext(stream) == FRAMES[0].encode()
    with pytest.raises(httpx.ReadError, match="gone"):
        await anext(stream)


async def test_closing_half_way_is_a_cancellation() -> None:
    """A proxy that stops reading cancels the call."""
    seen = Seen()
    stream = await acreate(seen, SdkAnswer(frames=FRAMES), stream=True)
    await anext(stream)
    await stream.aclose()
    assert seen.cancelled


async def test_a_call_on_another_route_is_not_the_one_that_was_recorded() -> None:
    """A chat completion's recording doesn't answer a message."""
    seen = Seen()
    with pytest.raises(RuntimeError, match="not recorded"):
        await acreate(seen, SdkAnswer(value=MESSAGE), route="chat/completions")
    assert len(seen.faults) == 1

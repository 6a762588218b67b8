"""The double of `litellm.acompletion`: recorded answers as litellm's own objects, everything else refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

pytest.importorskip("litellm")

from parity.observation.model import UpstreamCall
from parity.recording import calls
from parity.recording.file import Recording, SdkAnswer, SdkCall
from parity.recording.litellm_import import litellm
from parity.recording.sdk_objects import dump_exception, dump_headers, dump_value
from parity.targets import lockstep
from parity.targets.doubles import Seen, mocked_sdk
from tests.parity.litellm_calls import CHUNKS, COMPLETION, DEPLOYMENT, MESSAGES, ask, events, failure

ARGUMENTS: dict[str, Any] = {**DEPLOYMENT, "messages": MESSAGES}


def call(**arguments: Any) -> UpstreamCall:
    return calls.from_arguments("chat/completions", "alias", {**ARGUMENTS, **arguments}, DEPLOYMENT)


def recording(*pairs: tuple[UpstreamCall, SdkAnswer | None]) -> Recording:
    sdk = [SdkCall(call=asked, answer=answer) for asked, answer in pairs]
    return Recording(scenario="a.b", fingerprint="0", litellm="1.2.3", sdk=sdk)


async def streamed() -> SdkAnswer:
    chunks = await ask(events(*CHUNKS), stream=True)
    return SdkAnswer(chunks=[dump_value(chunk) for chunk in chunks])


async def acompletion(seen: Seen, made: Recording, **arguments: Any) -> Any:
    with mocked_sdk(made, seen, "alias", [DEPLOYMENT]):
        return await litellm.acompletion(**ARGUMENTS, **arguments)


async def test_a_recorded_call_is_answered_with_a_response() -> None:
    """What came out of litellm once comes out again, of litellm's own class, its headers included."""
    real = await ask(httpx.Response(200, json=COMPLETION, headers={"x-request-id": "req_1"}))
    answer = SdkAnswer(value=dump_value(real), **dump_headers(real))
    seen = Seen()
    again = await acompletion(seen, recording((call(), answer)), timeout=600)
    assert type(again) is type(real)
    assert again.model_dump() == real.model_dump()
    assert dump_headers(again) == dump_headers(real)
    assert seen.calls == [call()]
    assert seen.faults == []


async def test_a_recorded_exception_is_raised_fresh_each_time() -> None:
    """Two equal calls raise two equal exceptions of litellm's own class."""
    real = await failure(httpx.Response(429, json={"error": {"message": "Slow down."}}))
    made = recording((call(), SdkAnswer(raises=dump_exception(real))))
    caught = []
    for _ in range(2):
        with pytest.raises(litellm.exceptions.RateLimitError) as info:
            await acompletion(Seen(), made)
        caught.append(info.value)
    assert caught[0] is not caught[1]
    assert [str(error) for error in caught] == [str(real)] * 2


async def test_another_call_is_refused_with_the_nearest() -> None:
    """A call that nobody recorded fails and is noted with what differs."""
    seen = Seen()
    with pytest.raises(RuntimeError, match="not recorded"):
        await acompletion(seen, recording((call(n=1), SdkAnswer(value={}))), n=2)
    (fault,) = seen.faults
    assert fault.endswith("differs in body.n: recorded 1, made 2")


@pytest.mark.parametrize("name", ["model", "api_base", "api_key"])
async def test_another_deployment_is_a_fault_without_its_value(name: str) -> None:
    """Model, base and key are the deployment's; another one is noted, and its value is not shown."""
    real = await ask(httpx.Response(200, json=COMPLETION))
    seen = Seen()
    with mocked_sdk(recording((call(), SdkAnswer(value=dump_value(real)))), seen, "alias", [DEPLOYMENT]):
        await litellm.acompletion(**{**ARGUMENTS, name: "of-the-client"})
    (fault,) = seen.faults
    assert f"another {name}" in fault
    assert "of-the-client" not in fault


async def test_a_stream_yields_litellms_chunks_to_its_end() -> None:
    """Recorded chunks come as litellm's own objects, and a stream read to its end was not cancelled."""
    answer = await streamed()
    seen = Seen()
    stream = await acompletion(seen, recording((call(stream=True), answer)), stream=True)
    assert isinstance(stream, litellm.CustomStreamWrapper)
    got = []
    async for chunk in stream:
        seen.lockstep.has_read()
        got.append(chunk)
    assert [dump_value(chunk) for chunk in got] == answer.chunks
    assert (seen.lockstep.held_back, seen.cancelled) == (0, False)


async def test_a_stream_that_failed_fails_after_its_chunks() -> None:
    """The recorded exception is raised where it was raised, and is no cancellation by the client."""
    real = await failure(events(*CHUNKS[:2], 'data: {"error": {"message": "Broke."}}\n\n'), stream=True)
    answer = (await streamed()).model_copy(update={"raises": dump_exception(real)})
    seen = Seen()
    stream = await acompletion(seen, recording((call(stream=True), answer)), stream=True)
    got = []

    async def read() -> None:
        async for chunk in stream:
            seen.lockstep.has_read()
            got.append(chunk)

    with pytest.raises(type(real)):
        await read()
    assert len(got) == len(answer.chunks or [])
    assert not seen.cancelled


async def test_frames_that_are_held_back_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that collects the stream is seen: every chunk but the last was due too early."""
    monkeypatch.setattr(lockstep, "PATIENCE", 0.01)
    seen = Seen()
    stream = await acompletion(seen, recording((call(stream=True), await streamed())), stream=True)
    got = [chunk async for chunk in stream]
    assert seen.lockstep.held_back == len(got) - 1 > 0


async def test_closing_a_stream_is_a_cancellation() -> None:
    """`aclose` before the end cancels the upstream call."""
    seen = Seen()
    stream = await acompletion(seen, recording((call(stream=True), await streamed())), stream=True)
    await anext(stream)
    assert not seen.cancelled
    await stream.aclose()
    assert seen.cancelled


async def test_a_call_without_answer_waits_and_notes_its_cancellation() -> None:
    """A call that never was answered hangs until its task is cancelled, which is noted."""
    seen = Seen()
    asking = asyncio.create_task(acompletion(seen, recording((call(), None))))
    await asyncio.wait_for(seen.until_called(), 5)
    assert not asking.done()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert seen.cancelled


async def test_nothing_goes_past_acompletion() -> None:
    """Another way out is noted as a fault and leads nowhere, and all of litellm is itself again afterwards."""
    seen = Seen()
    real = litellm.acompletion
    with mocked_sdk(recording(), seen, "alias", [DEPLOYMENT]):
        assert litellm.acompletion is not real
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError, match="no sockets"):
                await client.get("http://provider.invalid/v1/models")
    assert seen.faults == ["GET provider.invalid went past LiteLLM's functions"]
    assert litellm.acompletion is real


async def test_a_repeated_call_is_told_once() -> None:
    """Where calls may be repeated, one that follows an equal, failed one is the same to an observation."""
    real = await failure(httpx.Response(503, json={"error": {"message": "Busy."}}))
    response = await ask(httpx.Response(200, json=COMPLETION))
    made = recording(
        (call(), SdkAnswer(raises=dump_exception(real))),
        (call(), SdkAnswer(value=dump_value(response))),
        (call(), SdkAnswer(value=dump_value(response))),
    )
    for repeats, told in ((True, 2), (False, 3)):
        seen = Seen(repeats=repeats)
        with pytest.raises(litellm.exceptions.ServiceUnavailableError):
            await acompletion(seen, made)
        for _ in range(2):
            await acompletion(seen, made)
        assert (len(seen.calls), len(seen.told)) == (3, told)


async def test_a_call_is_compared_with_the_deployment_that_it_names() -> None:
    """With several deployments each call is held against its own."""
    other = {**DEPLOYMENT, "model": "openai/gpt-4o"}
    real = await ask(httpx.Response(200, json=COMPLETION))
    seen = Seen()
    with mocked_sdk(
        recording((call(), SdkAnswer(value=dump_value(real)))), seen, "alias", [DEPLOYMENT, other]
    ):
        await litellm.acompletion(**{**ARGUMENTS, **other})
        assert litellm.calculate_retry_after(remaining_retries=1, max_retries=1) == 0
    assert (seen.faults, seen.calls) == ([], [call()])


RESPONSES: dict[str, Any] = {**DEPLOYMENT, "input": "Hi"}
CREATED = {"$class": "litellm.types.llms.openai:GenericEvent", "type": "response.created"}
DELTA = {
    "$class": "litellm.types.llms.openai:GenericEvent",
    "type": "response.output_text.delta",
    "delta": "x",
}


async def fill(got: list[Any], stream: AsyncIterator[Any]) -> None:
    async for event in stream:
        got.append(event)


async def test_recorded_events_are_streamed() -> None:
    """What `aresponses` yielded comes out again as objects of its classes, then perhaps the failure."""
    error = await failure(httpx.Response(500))
    answer = SdkAnswer(chunks=[CREATED, DELTA], raises=dump_exception(error))
    asked = calls.from_arguments("responses", "alias", {**RESPONSES, "stream": True}, DEPLOYMENT)
    got: list[Any] = []
    with mocked_sdk(recording((asked, answer)), Seen(), "alias", [DEPLOYMENT]):
        stream = await litellm.aresponses(**RESPONSES, stream=True)
        with pytest.raises(type(error)):
            await fill(got, stream)
    assert [(event.type, dump_value(event)) for event in got] == [
        ("response.created", CREATED),
        ("response.output_text.delta", DELTA),
    ]


async def test_an_event_that_only_announces_may_wait() -> None:
    """A proxy that keeps back what says nothing holds nothing back."""
    seen = Seen()
    asked = calls.from_arguments("responses", "alias", {**RESPONSES, "stream": True}, DEPLOYMENT)
    with mocked_sdk(
        recording((asked, SdkAnswer(chunks=[CREATED, CREATED, DELTA]))), seen, "alias", [DEPLOYMENT]
    ):
        async for _ in await litellm.aresponses(**RESPONSES, stream=True):
            pass
    assert seen.lockstep.held_back == 0

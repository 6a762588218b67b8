"""The doubles: recorded calls are answered, every other one is refused and noted."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from parity.observation.model import UpstreamCall
from parity.recording.file import ProcessAnswer, ProcessCall, Recording
from parity.targets import doubles, lockstep
from parity.targets.doubles import Seen, httpx_on, mocked_binary

URL = "http://litellm.invalid/v1/chat/completions"
FRAMES = ["data: 1\n\n", "data: 2\n\n", "data: [DONE]\n\n"]


def call(**body: Any) -> UpstreamCall:
    return UpstreamCall(route="chat/completions", model="m", body=body)


def recording(*pairs: tuple[UpstreamCall, ProcessAnswer | None]) -> Recording:
    process = [ProcessCall(call=asked, answer=answer) for asked, answer in pairs]
    return Recording(scenario="a.b", fingerprint="0", litellm="1.2.3", process=process)


def text(value: str, status: int = 200, **headers: str) -> ProcessAnswer:
    return ProcessAnswer(status=status, headers=headers, text=value)


async def ask(seen: Seen, made: Recording, **body: Any) -> httpx.Response:
    with mocked_binary(made, seen):
        async with httpx.AsyncClient() as client:
            return await client.post(URL, json={"model": "m", **body})


async def test_a_recorded_call_is_answered_as_recorded() -> None:
    """Status, headers and body are the recorded ones; lengths are those of this answer."""
    answer = text(
        "Grüße", 429, **{"retry-after": "7", "content-length": "99", "transfer-encoding": "chunked"}
    )
    seen = Seen()
    response = await ask(seen, recording((call(n=1), answer)), n=1)
    assert (response.status_code, response.text) == (429, "Grüße")
    assert response.headers["retry-after"] == "7"
    assert response.headers["content-length"] == "7"
    assert "transfer-encoding" not in response.headers
    assert seen.calls == [call(n=1)]
    assert seen.faults == []
    assert seen.called.is_set()


async def test_another_call_is_refused_with_the_nearest() -> None:
    """A call that nobody recorded fails, is noted with what differs, and is still listed as made."""
    seen = Seen()
    with pytest.raises(httpx.ConnectError, match="not recorded"):
        await ask(seen, recording((call(n=1), text("x"))), n=2)
    assert seen.faults == [
        "upstream call 1 (chat/completions) was not recorded; "
        "the nearest recorded call differs in body.n: recorded 1, made 2"
    ]
    assert seen.calls == [call(n=2)]


async def test_equal_calls_are_answered_in_turn_and_the_last_one_again() -> None:
    """Calls that look the same get their own answers by position; one more gets the last answer."""
    made = recording((call(n=1), text("first")), (call(n=1), text("second")))
    seen = Seen()
    answers = [(await ask(seen, made, n=1)).text for _ in range(3)]
    assert answers == ["first", "second", "second"]
    assert len(seen.calls) == 3
    assert seen.faults == []


async def test_calls_in_another_order_find_their_answers() -> None:
    """A recorded call is answered wherever it comes; the order shows in what was seen."""
    made = recording((call(n=1), text("one")), (call(n=2), text("two")))
    seen = Seen()
    assert [(await ask(seen, made, n=n)).text for n in (2, 1)] == ["two", "one"]
    assert seen.calls == [call(n=2), call(n=1)]


async def test_liveness_is_no_call() -> None:
    """The process is alive without a recording, and asking for it is not an upstream call."""
    seen = Seen()
    with mocked_binary(recording(), seen):
        async with httpx.AsyncClient() as client:
            response = await client.get(f"http://litellm.invalid{doubles.LIVENESS}")
    assert response.status_code == 200
    assert (seen.calls, seen.faults, seen.called.is_set()) == ([], [], False)


async def test_until_called_waits_for_the_call() -> None:
    """The harness learns when the backend has the call."""
    seen = Seen()
    waiting = asyncio.create_task(seen.until_called())
    await asyncio.sleep(0)
    assert not waiting.done()
    await ask(seen, recording((call(), text("x"))))
    await asyncio.wait_for(waiting, 5)


async def test_a_call_without_answer_waits_and_notes_its_cancellation() -> None:
    """A call that never was answered hangs until the caller goes away, which is noted."""
    seen = Seen()
    asking = asyncio.create_task(ask(seen, recording((call(), None))))
    await asyncio.wait_for(seen.until_called(), 5)
    await asyncio.sleep(0)
    assert not asking.done()
    assert not seen.cancelled
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert seen.cancelled


async def read(seen: Seen, answer: ProcessAnswer, *, reads: bool = True, stop_after: int = 99) -> list[str]:
    """The frames of a stream as they came; `reads` tells the lockstep of each one."""
    got: list[str] = []
    with mocked_binary(recording((call(), answer)), seen):
        async with httpx.AsyncClient() as client, client.stream("POST", URL, json={"model": "m"}) as response:
            async for piece in response.aiter_text():
                got.append(piece)
                if reads:
                    seen.lockstep.has_read()
                if len(got) == stop_after:
                    break
    return got


async def test_a_stream_comes_frame_by_frame() -> None:
    """Each recorded frame is a write of its own, and a stream read to its end was not cancelled."""
    seen = Seen()
    assert await read(seen, ProcessAnswer(status=200, frames=FRAMES)) == FRAMES
    assert (seen.lockstep.held_back, seen.cancelled) == (0, False)


async def test_a_frame_is_withheld_until_the_one_before_was_read() -> None:
    """The source does not run ahead of the client."""
    seen = Seen()
    sent: list[int] = []
    frames = doubles._paced([1, 2], seen)
    sent.append(await anext(frames))
    going_on = asyncio.ensure_future(anext(frames))
    await asyncio.sleep(0)
    assert not going_on.done()
    seen.lockstep.has_read()
    sent.append(await asyncio.wait_for(going_on, 5))
    assert sent == [1, 2]


async def test_frames_that_are_held_back_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that collects the stream is seen: every frame but the last was due too early."""
    monkeypatch.setattr(lockstep, "PATIENCE", 0.01)
    seen = Seen()
    assert await read(seen, ProcessAnswer(status=200, frames=FRAMES), reads=False) == FRAMES
    assert seen.lockstep.held_back == 2


async def test_leaving_a_stream_early_is_a_cancellation() -> None:
    """Closing before the last frame cancels the upstream call."""
    seen = Seen()
    assert await read(seen, ProcessAnswer(status=200, frames=FRAMES), stop_after=1) == FRAMES[:1]
    assert seen.cancelled


async def test_leaving_a_stream_at_its_last_frame_is_none() -> None:
    """A reader that stops at the last frame, without waiting for the end, cancels nothing."""
    seen = Seen()
    assert await read(seen, ProcessAnswer(status=200, frames=FRAMES), stop_after=3) == FRAMES
    assert not seen.cancelled


async def test_a_broken_stream_breaks_after_its_frames() -> None:
    """A recorded transport error is raised after the last frame, and is no cancellation by the client."""
    seen = Seen()
    with pytest.raises(httpx.RemoteProtocolError, match="cut"):
        await read(seen, ProcessAnswer(status=200, frames=FRAMES[:1], broken="cut"))
    assert not seen.cancelled


async def test_a_call_that_the_harness_ended_was_not_cancelled() -> None:
    """An app that had to be stopped did not cancel its upstream call, which is a fault of its own."""
    seen = Seen()
    seen.stays()
    seen.cancel()
    assert not seen.cancelled
    assert seen.faults == ["the app did not end after its client had gone"]


async def test_a_cancellation_is_not_undone() -> None:
    """A call that the app cancelled stays so, whatever happens later."""
    seen = Seen()
    seen.cancel()
    seen.stays()
    seen.cancel()
    assert seen.cancelled


async def test_every_client_made_inside_sits_on_the_double() -> None:
    """Whatever transport, mounts or proxy a client asks for, nothing goes past the double; others stay real."""
    made: list[str] = []

    async def note(request: httpx.Request) -> httpx.Response:
        made.append(request.url.host)
        return httpx.Response(200)

    real = httpx.AsyncClient
    with httpx_on(httpx.MockTransport(note)):
        assert issubclass(httpx.AsyncClient, real)
        for options in (
            {"transport": httpx.AsyncHTTPTransport()},
            {"mounts": {"all://": httpx.AsyncHTTPTransport()}},
            {"proxy": "http://proxy.invalid"},
            {"timeout": 3, "headers": {"a": "b"}},
        ):
            async with httpx.AsyncClient(**options) as client:
                await client.get("http://somewhere.invalid")
    assert made == ["somewhere.invalid"] * 4
    assert httpx.AsyncClient is real

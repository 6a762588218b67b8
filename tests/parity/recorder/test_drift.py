"""What changed between two recordings."""

from __future__ import annotations

import json
from typing import Any

from parity.recorder import drift
from parity.recording.file import ProcessAnswer, ProcessCall, Recording, SdkAnswer, SdkCall
from tests import samples
from tests.parity.builders import call

UUIDS = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")


def recording(process: ProcessAnswer | None = None, sdk: SdkAnswer | None = None, **rest: Any) -> Recording:
    return Recording(
        **{
            "scenario": "chat.plain",
            "fingerprint": "f" * 64,
            "litellm": "1.2.3",
            "process": [ProcessCall(call=call(n=1), answer=process)],
            "sdk": [SdkCall(call=call(n=1), answer=sdk)],
            **rest,
        }
    )


def completion(text: str = "Hi", id: str = "1", created: int = 1) -> dict[str, Any]:
    return samples.completion(text, id=f"chatcmpl-{id}", created=created)


def whole(body: dict[str, Any]) -> ProcessAnswer:
    return ProcessAnswer(status=200, headers={"a": "b"}, text=json.dumps(body))


def frames(*bodies: dict[str, Any]) -> ProcessAnswer:
    return ProcessAnswer(
        status=200, frames=[f"data: {json.dumps(b)}\n\n" for b in bodies] + ["data: [DONE]\n\n"]
    )


def test_equal_recordings_do_not_drift() -> None:
    """A recording agrees with itself, also where nothing was answered."""
    for made in (
        recording(),
        recording(whole(completion()), SdkAnswer(value=completion())),
        recording(frames(completion())),
    ):
        assert drift.compare(made, made) == []


def test_generated_ids_and_times_are_no_drift() -> None:
    """What LiteLLM makes up anew at each run is left aside, in bodies, frames and objects."""
    one, other = completion(id=UUIDS[0], created=1), completion(id=UUIDS[1], created=2)
    events = SdkAnswer(frames=[f"data: {json.dumps(one)}\n\n"])
    events_again = SdkAnswer(frames=[f"data: {json.dumps(other)}\n\n"])
    assert drift.compare(recording(sdk=events), recording(sdk=events_again)) == []
    for before, now in (
        (recording(whole(one)), recording(whole(other))),
        (recording(frames(one)), recording(frames(other))),
        (recording(sdk=SdkAnswer(value=one)), recording(sdk=SdkAnswer(value=other))),
        (recording(sdk=SdkAnswer(chunks=[one])), recording(sdk=SdkAnswer(chunks=[other]))),
    ):
        assert drift.compare(before, now) == []


def test_an_id_of_the_provider_is_compared() -> None:
    """Only made-up ids are left aside."""
    (line,) = drift.compare(recording(whole(completion(id="one"))), recording(whole(completion(id="two"))))
    assert line.endswith('recorded "chatcmpl-one", now "chatcmpl-two"')


def test_a_drift_names_scenario_path_and_both_values() -> None:
    """A change inside a JSON body is found at its own path, not as a change of the whole text."""
    (line,) = drift.compare(recording(whole(completion("Hi"))), recording(whole(completion("Ho"))))
    assert line == (
        'chat.plain: $.process[0].answer.text.choices[0].message.content: recorded "Hi", now "Ho"'
    )


def test_a_drift_inside_a_frame() -> None:
    """A change inside a frame is found in that frame."""
    before, now = frames(completion(), completion("Hi")), frames(completion(), completion("Ho"))
    (line,) = drift.compare(recording(before), recording(now))
    assert line.startswith("chat.plain: $.process[0].answer.frames[1][0].choices[0].message.content: ")


def test_every_part_of_a_recording_is_compared() -> None:
    """Status, headers, texts that are no JSON, breaks, calls, the sdk's side, the version: each is a drift."""
    base = recording(whole(completion()), SdkAnswer(value=completion()))
    answer = base.process[0].answer
    assert answer is not None
    changed: dict[str, dict[str, Any]] = {
        "answer.status": {"status": 201},
        "answer.headers": {"headers": {"a": "c"}},
        "answer.text": {"text": "<html>"},
        "answer.broken": {"broken": "cut"},
    }
    for path, update in changed.items():
        lines = drift.compare(
            base, recording(answer.model_copy(update=update), SdkAnswer(value=completion()))
        )
        assert lines, path
        assert all(path in line for line in lines)
    parts: list[tuple[str, dict[str, Any]]] = [
        ("process", {"process": []}),
        ("sdk", {"sdk": []}),
        ("sdk", {"sdk": [SdkCall(call=call(n=2), answer=base.sdk[0].answer)]}),
        ("litellm", {"litellm": "1.2.4"}),
    ]
    for field, update in parts:
        lines = drift.compare(base, base.model_copy(update=update))
        assert any(f"$.{field}" in line for line in lines), field


def test_a_comment_frame_is_compared_as_text() -> None:
    """A frame without data is compared as it is."""
    before = ProcessAnswer(status=200, frames=[": ping\n\n"])
    now = ProcessAnswer(status=200, frames=[": pong\n\n"])
    (line,) = drift.compare(recording(before), recording(now))
    assert "ping" in line
    assert "pong" in line


def test_a_frame_keeps_its_event_name() -> None:
    """The name of an event is a part of its frame."""
    before, now = (ProcessAnswer(status=200, frames=[f"event: {e}\ndata: {{}}\n\n"]) for e in ("a", "b"))
    assert drift.compare(recording(before), recording(now))


def test_a_changed_scenario_is_said() -> None:
    """A recording made from another version of its scenario is a drift, whatever it holds."""
    lines = drift.compare(recording(), recording(fingerprint="0" * 64))
    assert lines == ["chat.plain: the scenario was changed since it was recorded"]


def test_a_new_recording_is_said() -> None:
    """Without an old one, what would be written is summed up in a line."""
    assert drift.compare(None, recording()) == ["chat.plain: new, 1 call(s) to the process, 1 to the SDK"]


def test_long_values_are_cut() -> None:
    """A line stays a line."""
    (line,) = drift.compare(
        recording(whole(completion("a" * 5000))), recording(whole(completion("b" * 5000)))
    )
    assert len(line) < 600

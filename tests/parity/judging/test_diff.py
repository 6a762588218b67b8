from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.judging.diff import Difference, diff
from parity.judging.jsondiff import ABSENT
from parity.observation.model import (
    Exchange,
    Frame,
    Observation,
    Response,
    Stream,
    StreamMessage,
    UpstreamCall,
)
from tests.parity.builders import BODY, HEADER, STREAM, call, observation, stream
from tests.parity.judging.test_jsondiff import json_values

names = st.sampled_from(["content-type", "retry-after", "x-request-id"])
texts = st.text(max_size=3)
streams = st.builds(
    Stream,
    frames=st.lists(st.builds(Frame, event=texts, data=json_values), max_size=4),
    message=st.builds(StreamMessage, texts=st.lists(texts, max_size=2), usage=json_values),
    done=st.booleans(),
    broken=st.none() | texts,
)
responses = st.builds(
    Response,
    status=st.integers(200, 203),
    headers=st.dictionaries(names, texts),
    json_body=json_values,
    text=st.none() | texts,
    stream=st.none() | streams,
)
exchanges = st.builds(
    Exchange, method=st.just("POST"), path=texts, response=st.none() | responses, failed=st.none() | texts
)
observations = st.builds(
    Observation,
    scenario=st.just("chat.plain"),
    target=texts,
    tier=st.just("mocked"),
    exchanges=st.lists(exchanges, max_size=2),
    upstream=st.lists(st.builds(UpstreamCall, route=texts, body=json_values), max_size=2),
    held_back=st.integers(0, 1),
    cancelled=st.none() | st.booleans(),
    faults=st.lists(texts, max_size=2),
)


def found(left: Observation, right: Observation) -> list[tuple[str, str, Any, Any]]:
    return [(d.path, d.kind, d.left, d.right) for d in diff(left, right)]


@given(observations)
def test_an_observation_equals_itself_on_another_target(seen: Observation) -> None:
    """The target's name is no difference, and neither is anything else of a copy."""
    other = seen.model_copy(update={"target": "other"}, deep=True)
    assert diff(seen, other) == []


@given(observations, observations)
def test_both_ways_find_as_many(left: Observation, right: Observation) -> None:
    """Which target is compared with which has no influence on the count, nor on the kinds."""
    there, back = diff(left, right), diff(right, left)
    assert sorted(d.kind for d in there) == sorted(d.kind for d in back)


@given(observations, observations)
def test_no_difference_is_listed_twice(left: Observation, right: Observation) -> None:
    """Path and values together name one difference."""
    listed = [repr((d.path, d.kind, d.left, d.right)) for d in diff(left, right)]
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    ("left", "right", "difference"),
    [
        ({"status": 401}, {"status": 403}, ("$.exchanges[0].response.status", "status", 401, 403)),
        ({"headers": {"retry-after": "7"}}, {}, (HEADER, "header", "7", ABSENT)),
        ({"json": {"a": {"b": None}}}, {"json": {"a": {}}}, (f"{BODY}.a.b", "body", None, ABSENT)),
        ({"text": "x"}, {"text": "y"}, ("$.exchanges[0].response.text", "body", "x", "y")),
        ({"upstream": [call(n=1)]}, {"upstream": [call(n=2)]}, ("$.upstream[0].body.n", "upstream", 1, 2)),
        ({"held_back": 2}, {}, ("$.held_back", "effect", 2, 0)),
        ({"cancelled": True}, {"cancelled": None}, ("$.cancelled", "effect", True, None)),
        ({"faults": ["no"]}, {}, ("$.faults[0]", "effect", "no", ABSENT)),
        (
            {"stream": stream("a")},
            {"stream": stream("a", done=False)},
            (f"{STREAM}.done", "message", True, False),
        ),
    ],
)
def test_each_kind_has_its_path(left: Any, right: Any, difference: Any) -> None:
    """What differs is named by a literal path, its kind and both values."""
    assert found(observation(**left), observation(target="sdk", **right)) == [difference]


def test_a_second_upstream_call_is_one_difference() -> None:
    """The call too many is shown whole."""
    twice = observation(target="sdk", upstream=[call(n=1), call(n=1)])
    [only] = diff(observation(upstream=[call(n=1)]), twice)
    assert (only.kind, only.left, only.right["body"]) == ("upstream", ABSENT, {"n": 1})


def test_equal_messages_in_other_frames_are_framing() -> None:
    """The kind tells that the content is the same."""
    found = diff(
        observation(stream=stream("he", "llo")), observation(target="sdk", stream=stream("hel", "lo"))
    )
    assert {d.kind for d in found} == {"framing"}


def test_a_swallowed_frame_is_one_frame_and_the_text() -> None:
    """The frames after it are not blamed."""
    whole = stream(*"abcdefghij")
    found = diff(observation(stream=whole), observation(target="sdk", stream=stream(*"abcdfghij")))
    assert [(d.path, d.kind) for d in found] == [
        (f"{STREAM}.message.texts[0]", "message"),
        (f"{STREAM}.frames[4]", "frame"),
    ]


def test_a_reordered_event_is_seen() -> None:
    """Names and order of events count, not only their sum."""
    frames = [Frame(event="a", data=1), Frame(event="b", data=2)]
    left, right = Stream(frames=frames), Stream(frames=frames[::-1])
    assert {d.kind for d in diff(observation(stream=left), observation(stream=right))} == {"framing"}


def test_a_stream_instead_of_json_shows_both() -> None:
    """Bodies of two sorts are each listed against nothing."""
    found = diff(observation(json={"a": 1}), observation(target="sdk", stream=stream("a")))
    assert [(d.path, d.left is ABSENT, d.right is ABSENT) for d in found] == [
        (BODY, False, True),
        (STREAM, True, False),
    ]


def test_a_missing_response_or_exchange_is_named() -> None:
    """A transport failure on one side is a missing response; a shorter conversation a missing exchange."""
    failed = Exchange(method="POST", path="/v1/chat/completions", failed="reset")
    found = diff(observation(json=1), observation(target="sdk", exchanges=[failed]))
    assert [(d.path, d.kind) for d in found] == [
        ("$.exchanges[0].failed", "effect"),
        ("$.exchanges[0].response", "missing"),
    ]
    [short] = diff(observation(), observation(target="sdk", exchanges=[]))
    assert (short.path, short.kind, short.right) == ("$.exchanges[0]", "missing", ABSENT)


def test_two_scenarios_are_not_compared() -> None:
    """Observations that belong to different scenarios are a mistake, not a difference."""
    with pytest.raises(ValueError, match=r"chat\.a and chat\.b"):
        diff(observation("chat.a"), observation("chat.b"))


def test_nothing_there_serialises_as_its_marker() -> None:
    """In JSON, ABSENT is a word that no reader takes for null."""
    dumped = Difference(path="$", kind="body", left=ABSENT, right=None).model_dump(mode="json")
    assert (dumped["left"], dumped["right"]) == ("<absent>", None)

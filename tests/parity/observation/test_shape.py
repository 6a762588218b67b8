from __future__ import annotations

from typing import Any

import pytest

from parity.judging.diff import diff
from parity.observation.model import Observation
from parity.observation.shape import shape
from tests import samples
from tests.parity.builders import observation, stream

ANSWER = samples.completion("Hi")
ANSWER["choices"][0]["message"]["refusal"] = None
del ANSWER["usage"], ANSWER["model"]


def answer(**changes: Any) -> Observation:
    return observation(json={**ANSWER, **changes})


def choice(**changes: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": "Ho"}, "finish_reason": "stop", **changes}


@pytest.mark.parametrize(
    "other",
    [
        answer(id="gen-7", created=3),
        answer(choices=[{**ANSWER["choices"][0], "index": 1}]),
        answer(choices=ANSWER["choices"] * 3),
        observation(json=ANSWER, headers={}),
    ],
    ids=["id and time", "number", "how many", "nothing"],
)
def test_what_a_model_or_a_clock_decides_is_no_difference(other: Observation) -> None:
    """Texts, numbers and how many of a kind there are may differ between two answers to one question."""
    assert diff(shape(answer()), shape(other)) == []


@pytest.mark.parametrize(
    ("other", "path"),
    [
        (answer(object="completion"), "$.exchanges[0].response.json_body.object"),
        (answer(created="1"), "$.exchanges[0].response.json_body.created"),
        (answer(usage={}), "$.exchanges[0].response.json_body.usage"),
        (
            answer(choices=[choice()]),
            "$.exchanges[0].response.json_body.choices[0].message.refusal",
        ),
        (observation(json=ANSWER, status=201), "$.exchanges[0].response.status"),
        (
            observation(json=ANSWER, headers={"retry-after": "7"}),
            "$.exchanges[0].response.headers['retry-after']",
        ),
    ],
    ids=["word of the vocabulary", "kind", "key more", "key less", "status", "header"],
)
def test_what_an_answer_is_made_of_is_compared(other: Observation, path: str) -> None:
    """Keys, kinds of values, statuses, headers and the words of the interface itself."""
    assert [found.path for found in diff(shape(answer()), shape(other))] == [path]


def test_streams_may_be_cut_in_other_places() -> None:
    """More frames of one shape are no difference; a frame of another shape, or another end, is."""
    short, long = (observation(stream=stream(*texts)) for texts in (["Hi"], ["How", " are", " you"]))
    assert diff(shape(short), shape(long)) == []
    unended = observation(stream=stream("Hi").model_copy(update={"done": False}))
    assert [found.path for found in diff(shape(short), shape(unended))] == [
        "$.exchanges[0].response.stream.done"
    ]

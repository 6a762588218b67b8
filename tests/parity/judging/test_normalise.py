from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.judging.diff import diff
from parity.judging.normalise import RULES, is_generated_id, is_time, mask_json, normalise
from parity.observation.model import Frame, Observation, Stream
from tests.parity.builders import call, observation
from tests.parity.judging.test_diff import observations

U, V = "5f0c1f6e-3d0b-4c56-9b0e-8a1d2f3c4b5a", "c9a1b2d3-0e4f-4a5b-8c6d-7e8f9a0b1c2d"

id_trees = st.recursive(
    st.uuids(version=4).map(lambda u: {"id": f"call_{u}"})
    | st.just({"id": f"call_{U}"})
    | st.just({"id": "call_1"}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


def body(seen: Observation) -> Any:
    response = normalise(seen).observation.exchanges[0].response
    assert response is not None
    return response.json_body


def ids(value: Any) -> list[str]:
    """Every id, in one fixed order."""
    if isinstance(value, list):
        return [i for item in value for i in ids(item)]
    return [i for key, item in sorted(value.items()) for i in ([item] if key == "id" else ids(item))]


@given(observations | id_trees.map(lambda tree: observation(json=tree)))
def test_normalising_twice_is_normalising_once(seen: Observation) -> None:
    """What is masked stays as it is, and counts no second time."""
    once = normalise(seen).observation
    again = normalise(once)
    assert again.observation == once
    assert set(again.masked.values()) == {0}


@given(id_trees)
def test_identity_is_kept(tree: Any) -> None:
    """Two ids get the same name exactly when they were the same."""
    before, after = ids(tree), ids(body(observation(json=tree)))
    assert [a == b for a in before for b in before] == [a == b for a in after for b in after]


@given(
    st.lists(st.uuids(version=4), min_size=1, max_size=5),
    st.lists(st.uuids(version=4), min_size=5, max_size=5),
)
def test_fresh_ids_are_no_difference(some: list[UUID], others: list[UUID]) -> None:
    """Two runs that differ in nothing but generated ids are equal."""
    if len({*some}) < len(some) or len({*others}) < len(others):
        return
    left, right = ([{"id": f"chatcmpl-{u}"} for u in us[: len(some)]] for us in (some, others))
    assert (
        diff(normalise(observation(json=left)).observation, normalise(observation(json=right)).observation)
        == []
    )


def test_an_id_goes_by_one_name_wherever_it_stands() -> None:
    """Frames, bodies, headers and what went out share the names, and each place is reported."""
    done = normalise(
        observation(
            headers={"x-request-id": U},
            stream=Stream(frames=[Frame(data={"id": f"chatcmpl-{U}"}), Frame(data={"id": f"chatcmpl-{V}"})]),
            upstream=[call(messages=[{"tool_call_id": f"call_{U}"}], request_id=U)],
        )
    )
    response, upstream = done.observation.exchanges[0].response, done.observation.upstream[0]
    assert response is not None
    assert response.stream is not None
    assert response.headers == {"x-request-id": "<id:1>"}
    assert [f.data["id"] for f in response.stream.frames] == ["chatcmpl-<id:1>", "chatcmpl-<id:2>"]
    assert upstream.body == {"messages": [{"tool_call_id": "call_<id:1>"}], "request_id": "<id:1>"}
    assert done.masked == {"generated-ids": 5, "metric-samples": 0, "times": 0}
    assert "$.exchanges[0].response.headers['x-request-id']" in done.paths["generated-ids"]


def test_an_id_more_renames_no_id_of_another_kind() -> None:
    """A request id on one side leaves the names of completions alone: one difference, not two."""
    left = observation(headers={"x-request-id": U}, json={"id": f"chatcmpl-{V}"})
    right = observation(json={"id": f"chatcmpl-{U}"})
    assert len(diff(normalise(left).observation, normalise(right).observation)) == 1


def test_the_order_of_keys_names_no_ids() -> None:
    """Two targets may write an object in different order; its ids get the same names."""
    one, other = {"a": {"id": U}, "b": {"id": V}}, {"b": {"id": U}, "a": {"id": V}}
    assert body(observation(json=one)) == body(observation(json=other))
    assert list(body(observation(json=other))) == ["b", "a"]


@pytest.mark.parametrize("key", ["user_id", "content", "model", "name"])
def test_other_keys_keep_their_values(key: str) -> None:
    """A UUID that says who is asking, or what, is information."""
    assert body(observation(json={key: U})) == {key: U}


@pytest.mark.parametrize(
    "sent", ["chatcmpl-1", "call_abc123", "toolu_01A09q90qw90lq917835lq9", "fp_44709d6fcb"]
)
def test_an_id_that_the_provider_sent_stays(sent: str) -> None:
    """So a target that replaces it is seen."""
    left, right = observation(json={"id": sent}), observation(json={"id": f"call_{U}"})
    assert body(left) == {"id": sent}
    assert len(diff(normalise(left).observation, normalise(right).observation)) == 1


def test_times_of_completions_are_masked_and_no_others() -> None:
    """`created` is masked in what is generated on the spot; a model's stays, and so does retry-after."""
    done = normalise(
        observation(
            headers={"retry-after": "1741569952"},
            json=[
                {"object": "chat.completion", "created": 1741569952},
                {"object": "chat.completion.chunk", "created": 1741569952.5},
                {"object": "chat.completion", "created": "yesterday"},
                {"object": "model", "created": 1677610602},
                {"object": "response", "created": 1741569952, "created_at": 1741569952},
            ],
        )
    )
    response = done.observation.exchanges[0].response
    assert response is not None
    assert response.headers == {"retry-after": "1741569952"}
    seen = [item["created"] for item in response.json_body]
    assert seen == ["<time>", "<time>", "yesterday", 1677610602, 1741569952]
    assert response.json_body[-1]["created_at"] == "<time>"
    assert done.masked == {"generated-ids": 0, "metric-samples": 0, "times": 3}


@pytest.mark.parametrize(
    "value",
    [U, U.upper(), UUID(U).hex, f"call_{U}", f"chatcmpl-mock-{UUID(U).hex}", f"resp_{'aB3-' * 25}=="],
)
def test_what_looks_generated(value: str) -> None:
    """UUIDs count, dashed or not, behind any prefix, and so does what LiteLLM puts around a response's own id."""
    assert is_generated_id(value)


@pytest.mark.parametrize(
    "value", ["", "call_1", f"{U}x", f" {U}", f"é_{U}", U[:-1], 7, None, "resp_67ccd2bed1ec81", "aB3-" * 25]
)
def test_what_does_not_look_generated(value: Any) -> None:
    """Everything else is kept."""
    assert not is_generated_id(value)


@pytest.mark.parametrize(("value", "time"), [(1, True), (1.5, True), (0, False), (True, False), ("1", False)])
def test_what_is_a_time(value: Any, time: bool) -> None:
    """A positive number."""
    assert is_time(value) is time


def test_of_metrics_the_families_stay() -> None:
    """Two proxies that have served different requests are equal as long as they count the same things."""
    prometheus = {"content-type": "text/plain; version=0.0.4; charset=utf-8"}
    left = "# HELP a A.\n# TYPE a counter\na 1.0\n"
    right = '# HELP a A.\n# TYPE a counter\na{b="c"} 2.0\n'
    other = "# HELP a A.\n# TYPE a gauge\na 1.0\n"

    def differences(a: str, b: str, headers: dict[str, str]) -> int:
        one, two = (normalise(observation(headers=headers, text=text)).observation for text in (a, b))
        return len(diff(one, two))

    assert differences(left, right, prometheus) == 0
    assert differences(left, other, prometheus) == 1
    assert differences(left, right, {"content-type": "text/plain"}) == 1


def test_there_are_three_rules() -> None:
    """Every further rule hides something, so their number is a promise."""
    assert [rule.name for rule in RULES] == ["generated-ids", "metric-samples", "times"]
    assert all(rule.description for rule in RULES)


def test_the_original_is_left_alone() -> None:
    """Normalising makes a copy."""
    seen = observation(json={"id": f"call_{U}"})
    normalise(seen)
    assert seen == observation(json={"id": f"call_{U}"})


def test_any_json_can_be_masked() -> None:
    """What is no observation, such as a recording, goes through the same rules."""
    recorded = {
        "body": {"object": "chat.completion", "created": 5, "id": f"chatcmpl-{U}"},
        "again": {"id": U},
    }
    assert mask_json(recorded) == {
        "body": {"object": "chat.completion", "created": "<time>", "id": "chatcmpl-<id:1>"},
        "again": {"id": "<id:1>"},
    }

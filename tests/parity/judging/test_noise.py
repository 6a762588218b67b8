from __future__ import annotations

from parity.judging.ledger import Ledger
from parity.judging.noise import noise, place, without
from parity.judging.verdict import Verdict, judge
from parity.observation.model import Observation
from tests.parity.builders import HEADER, observation, scenario

AT = "$.exchanges[*].response"


def verdict(*seen: Observation) -> Verdict:
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    return judge(cells, seen, [scenario()], Ledger(), "mocked", outside=["binary", "sdk"])


def test_a_place_is_a_path_without_numbers() -> None:
    """So that a place in a list is one place."""
    assert place(HEADER) == f"{AT}.headers['retry-after']"
    assert place("$.a[3].b[10]") == "$.a[*].b[*]"


def test_noise_is_where_a_target_differs_from_itself() -> None:
    """By scenario; who repeats itself has none."""
    first = [observation(json={"a": 1, "b": 2}), observation("b.two")]
    again = [observation(json={"a": 7, "b": 2}), observation("b.two")]
    assert noise(first, again) == {"chat.plain": {f"{AT}.json_body.a"}}
    assert noise(first, first) == {}


def test_noise_and_what_is_ignored_are_no_differences() -> None:
    """Each is counted, with all that is below; what remains is a difference."""
    found = verdict(
        observation(json={"a": {"x": 1}, "b": 2}, headers={"x-one": "1"}),
        observation(target="sdk", json={"a": {"x": 2}, "b": 3}, headers={"x-one": "2"}),
    )
    assert found.exit_code == 1
    noisy = [{"chat.plain": {f"{AT}.json_body.a"}}]
    left, in_noise, ignored = without(found, noisy, [f"{AT}.headers"])
    assert (left.exit_code, in_noise, ignored) == (1, 1, 1)
    assert [d.path for d in left.scenarios[0].differences] == ["$.exchanges[0].response.json_body.b"]
    left, in_noise, ignored = without(found, [], ["$.exchanges"])
    assert (left.exit_code, in_noise, ignored) == (0, 0, 3)
    assert left.scenarios[0].parity == "identical"


def test_another_scenarios_noise_is_none_of_this() -> None:
    """Nor does a place swallow one whose name only begins alike."""
    found = verdict(observation(json={"ab": 1}), observation(target="sdk", json={"ab": 2}))
    noisy = [{"b.two": {f"{AT}.json_body.ab"}, "chat.plain": {f"{AT}.json_body.a"}}]
    assert without(found, noisy, ())[0].exit_code == 1


def test_a_header_that_comes_and_goes_is_noise_everywhere() -> None:
    """In which scenario it happens to show is chance."""
    found = verdict(observation(headers={"x-ray": "1"}), observation(target="sdk"))
    assert without(found, [{"b.two": {f"{AT}.headers['x-ray']"}}], ())[0].exit_code == 0

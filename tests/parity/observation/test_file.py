"""Observation files: JSON Lines that lose nothing but secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from parity.observation.file import (
    LEAKED,
    ObservationFile,
    ObservationFileError,
    dumps,
    loads,
    observation_schema,
    versions,
)
from parity.observation.model import Header, Observation
from tests.parity.builders import call, observation, stream

HEADER = Header(target="binary", tier="mocked", catalogue="0" * 64, versions={"litellm": "1.2.3"})
SECRET = "sk-abcdef0123456789abcdef"


def written(tmp_path: Path, *observations: Observation) -> Path:
    path = tmp_path / "new" / "a.jsonl"
    ObservationFile(HEADER, observations).write(path)
    return path


def test_write_and_read_lose_nothing(tmp_path: Path) -> None:
    """Header and observations are read back equal."""
    observations = (
        observation("a.a", json={"text": "Grüße\u2028🌍\n", "n": None, "x": [1, 1.5, True]}),
        observation("a.b", stream=stream("Hi", done=False, broken="cut"), upstream=[call(n=1)]),
        observation("a.c", exchanges=[], faults=["one"], held_back=3, cancelled=True),
    )
    path = written(tmp_path, *observations)
    assert ObservationFile.read(path) == ObservationFile(HEADER, observations)


def test_half_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    """A stream that tears a character apart is seen as it was, not lost."""
    seen = observation(json={"text": "torn \ud83d"})
    path = written(tmp_path, seen)
    assert ObservationFile.read(path).observations == (seen,)
    assert "torn \\ud83d" in path.read_text(encoding="utf-8")
    assert loads(Observation, dumps(seen)) == seen
    assert dumps(seen).isascii()


def test_one_line_each_in_the_order_of_scenarios(tmp_path: Path) -> None:
    """A header line, then a line a scenario, whatever order they were played in: files can be compared."""
    path = written(tmp_path, observation("a.b"), observation("a.a", text="two\nlines"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line).get("scenario") for line in lines] == [None, "a.a", "a.b"]
    assert json.loads(lines[0])["parity_observations"] == 1


def test_no_secret_is_written(tmp_path: Path) -> None:
    """A secret that a target let through is masked, and marked as masked by us."""
    seen = observation(
        json={"error": {"message": f"wrong key {SECRET}"}},
        headers={"set-cookie": f"session={SECRET}", "x-api-key": SECRET},
        upstream=[call(api_key=SECRET)],
        faults=[f"it sent {SECRET}"],
    )
    path = written(tmp_path, seen)
    assert SECRET not in path.read_text()
    (kept,) = ObservationFile.read(path).observations
    response = kept.exchanges[0].response
    assert response is not None
    assert response.json_body["error"]["message"].endswith(LEAKED)
    assert response.headers["x-api-key"].endswith(LEAKED)
    assert kept.upstream[0].body["api_key"].endswith(LEAKED)
    assert kept.faults[0].endswith(LEAKED)


def test_what_a_target_masked_itself_is_left_alone(tmp_path: Path) -> None:
    """A target that masks does not look like one that leaks."""
    seen = observation(json={"error": {"message": "wrong key ***"}})
    (kept,) = ObservationFile.read(written(tmp_path, seen)).observations
    assert kept == seen


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("{}\n", ":1: not a header: "),
        ("no json\n", ":1: not a header: "),
        (f"{HEADER.model_dump_json()}\n{{}}\n", ":2: not an observation: "),
        (f"{HEADER.model_dump_json()}\n\n", ":2: not an observation: "),
        (HEADER.model_dump_json().replace(":1,", ":2,", 1), ":1: not a header: parity_observations"),
    ],
)
def test_a_wrong_file_names_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    """What is no observation file says where it stops being one."""
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(ObservationFileError) as caught:
        ObservationFile.read(path)
    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """A missing file and one that is no text are the same kind of error."""
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ObservationFileError, match="can't be read"):
        ObservationFile.read(path)


def test_schema_describes_both_kinds_of_line(tmp_path: Path) -> None:
    """Every line that is written keeps the published schema, and a line of another kind doesn't."""
    validator = Draft202012Validator(observation_schema())
    validator.check_schema(observation_schema())
    for line in written(tmp_path, observation(stream=stream("Hi"))).read_text().splitlines():
        assert validator.is_valid(json.loads(line))
    assert not validator.is_valid({"scenario": "a.a"})


def test_header_says_what_decides_an_observation() -> None:
    """The versions of what is installed, not of what isn't, and those of the recordings that were replayed."""
    assert set(versions("click", "not-installed-here")) == {"python", "proxy-parity", "click"}
    assert versions("click", recordings="1.2") == versions("click") | {"recordings": "1.2"}


@pytest.mark.parametrize("depth", [300, 100_000])
def test_a_line_that_is_nested_without_end_is_refused(tmp_path: Path, depth: int) -> None:
    """It names file and line, where comparing it would end in a traceback."""
    path = tmp_path / "o.jsonl"
    ObservationFile(HEADER, ()).write(path)
    path.write_text(path.read_text() + "[" * depth + "]" * depth + "\n")
    with pytest.raises(
        ObservationFileError, match=r"o\.jsonl:2: not an observation: .* nested too deeply: 200"
    ):
        ObservationFile.read(path)

"""Recordings on disk: where they are, which one belongs to a scenario, what a damaged one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity.catalogue.loading import fingerprint
from parity.catalogue.scenario import Scenario
from parity.observation.model import UpstreamCall
from parity.recording import file as recordings
from parity.recording.file import (
    ProcessAnswer,
    ProcessCall,
    Recording,
    RecordingError,
    SdkAnswer,
    SdkCall,
    SdkException,
)
from parity.support.files import cache_folder
from tests.parity.builders import call, scenario

V = recordings.REFERENCE
NEWER = "1.110.2"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Own folders in place of the built-in recordings and the user's cache."""
    monkeypatch.setattr(recordings, "BUILT_IN", tmp_path / "built-in")
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def recording(of: Scenario, **rest: object) -> Recording:
    return Recording.model_validate({"scenario": of.id, "fingerprint": fingerprint(of), "litellm": V, **rest})


def full(of: Scenario) -> Recording:
    error = SdkException(type="litellm.Timeout", args=["late", None], attributes={"status_code": 408})
    return recording(
        of,
        process=[
            ProcessCall(
                call=call(n=1), answer=ProcessAnswer(status=200, headers={"a": "b"}, text="Grüße 🌍")
            ),
            ProcessCall(
                call=call(n=2), answer=ProcessAnswer(status=200, frames=["data: 1\n\n"], broken="cut")
            ),
            ProcessCall(call=call(n=3), answer=None),
        ],
        sdk=[
            SdkCall(call=call(n=1), answer=SdkAnswer(value={"id": "1"}, response_headers={"a": "b"})),
            SdkCall(call=call(n=2), answer=SdkAnswer(chunks=[{"id": "2"}], raises=error)),
            SdkCall(call=UpstreamCall(route="chat/completions"), answer=None),
        ],
    )


def test_write_and_read_lose_nothing(tmp_path: Path) -> None:
    """What was written is read back equal, and written again it is the same text."""
    made = full(scenario())
    path = tmp_path / "deep" / "er" / "a.json"
    recordings.write(made, path)
    again = recordings.read(path)
    assert again == made
    assert again.dumps() == path.read_text(encoding="utf-8") == made.dumps()


def test_the_text_is_readable() -> None:
    """A recording can be reviewed: indented, letters as letters, closed by a newline."""
    text = full(scenario()).dumps()
    assert "Grüße 🌍" in text
    assert "\n " in text
    assert text.endswith("}\n")


def test_find_prefers_what_ships(folders: Path) -> None:
    """A built-in recording is used before one in the cache, else the cache's, else there is none."""
    mine = scenario("chat.plain[a]")
    assert recordings.find(mine, V) is None
    recordings.write(full(mine), recordings.cache_path(mine, V))
    assert recordings.find(mine, V) == full(mine)
    recordings.keep_built_in([recording(mine)])
    assert recordings.find(mine, V) == recording(mine)
    assert recordings.built_in_path(mine.id) == folders / "built-in" / "chat" / "plain[a].json"
    assert recordings.cache_path(mine, V).parent == folders / "cache"


def test_a_version_keeps_only_what_it_says_otherwise(folders: Path) -> None:
    """Of a further version there are files for what differs, and a list of what is as in the reference's recordings."""
    like, unlike, silent = (scenario(f"chat.{name}") for name in ("like", "unlike", "silent"))
    recordings.keep_built_in([full(like), full(unlike), full(silent)])
    assert recordings.shipped_versions() == [V]
    newer = [recording(s, litellm=NEWER) for s in (like, silent)] + [
        full(unlike).model_copy(update={"litellm": NEWER, "sdk": []})
    ]
    recordings.keep_built_in(newer, as_reference={like.id})
    kept = folders / "built-in" / "versions" / NEWER
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*.json*")) == [
        recordings.SAME,
        "chat/unlike.json",
        recordings.WITHOUT_CALLS,
    ]
    assert recordings.shipped_versions() == [V, NEWER]
    assert recordings.find(like, NEWER) == full(like).model_copy(update={"litellm": NEWER})
    assert recordings.find(unlike, NEWER) == newer[2]
    assert recordings.find(silent, NEWER) == newer[1]


def test_a_version_never_answers_for_another() -> None:
    """What wasn't recorded of a version is missing for it, also when the reference's was made anew since."""
    was, now = scenario(status=200), scenario(status=201)
    recordings.keep_built_in([full(was)])
    assert recordings.find(was, NEWER) is None
    recordings.keep_built_in([recording(was, litellm=NEWER)], as_reference={was.id})
    assert recordings.find(was, NEWER) is not None
    recordings.keep_built_in([full(now)])
    assert recordings.find(now, V) is not None
    assert recordings.find(now, NEWER) is None
    recordings.write(full(now), recordings.cache_path(now, V))
    assert recordings.missing([now], NEWER) == [now]


def test_a_changed_scenario_has_no_recording() -> None:
    """A recording answers for the scenario as it was, never for one that was edited since."""
    was, now = scenario(status=200), scenario(status=201)
    recordings.keep_built_in([recording(was)])
    recordings.write(recording(was), recordings.cache_path(was, V))
    assert recordings.find(was, V) is not None
    assert recordings.find(now, V) is None


def test_an_edited_built_in_scenario_falls_back_to_the_cache() -> None:
    """Who edits a scenario that ships can record it into the cache."""
    was, now = scenario(status=200), scenario(status=201)
    recordings.keep_built_in([recording(was)])
    recordings.write(recording(now), recordings.cache_path(now, V))
    assert recordings.find(now, V) == recording(now)


def test_missing_names_what_is_not_recorded() -> None:
    """Of many scenarios, those without a recording, in their order."""
    one, two, three = (scenario(f"chat.{name}") for name in ("one", "two", "three"))
    recordings.write(recording(two), recordings.cache_path(two, V))
    assert recordings.missing([one, two, three], V) == [one, three]


def test_recordings_without_a_call_share_a_file(folders: Path) -> None:
    """Of those that ship, one with a call has its own file, the others a line each; a change of kind moves it."""
    one, two, asks = (scenario(f"chat.{name}") for name in ("one", "two", "asks"))
    recordings.keep_built_in([recording(two), full(asks), recording(one)])
    kept = folders / "built-in"
    assert sorted(path.name for path in kept.rglob("*.json*")) == ["asks.json", recordings.WITHOUT_CALLS]
    lines = (kept / recordings.WITHOUT_CALLS).read_text().splitlines()
    assert [json.loads(line)["scenario"] for line in lines] == ["chat.one", "chat.two"]
    assert [recordings.find(s, V) for s in (one, two, asks)] == [recording(one), recording(two), full(asks)]

    recordings.keep_built_in([full(two), recording(asks)])
    assert sorted(path.name for path in kept.rglob("*.json*")) == ["two.json", recordings.WITHOUT_CALLS]
    assert [recordings.find(s, V) for s in (two, asks)] == [full(two), recording(asks)]


@pytest.mark.parametrize("line", ["{", '{"scenario": "chat.a"}', "TWICE", "CALLS"])
def test_a_damaged_line_names_itself(folders: Path, line: str) -> None:
    """A line that is no recording, stands there twice or has calls is an error with its number."""
    mine = scenario()
    recordings.keep_built_in([recording(mine)])
    path = folders / "built-in" / recordings.WITHOUT_CALLS
    good = path.read_text()
    calls = json.dumps(json.loads(full(scenario("chat.b")).dumps())) + "\n"
    path.write_text(good + {"TWICE": good, "CALLS": calls}.get(line, line))
    with pytest.raises(RecordingError) as caught:
        recordings.find(mine, V)
    assert str(caught.value).startswith(f"{path}:2: ")


@pytest.mark.parametrize("text", ["", "{", '{"recording": 1}', json.dumps({"recording": 2})])
def test_a_damaged_file_names_itself_and_the_remedy(text: str) -> None:
    """A file that is no recording is an error, never passed over in silence."""
    mine = scenario()
    path = recordings.built_in_path(mine.id)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(RecordingError) as caught:
        recordings.find(mine, V)
    assert str(caught.value).startswith(f"{path}: not a recording")
    assert "parity record" in str(caught.value)


@pytest.mark.parametrize("text", ["", json.dumps({"recording": 0})])
def test_a_damaged_file_in_the_cache_counts_as_none(text: str) -> None:
    """An older version of the program may have written it; a run makes it anew instead of stopping."""
    mine = scenario()
    path = recordings.cache_path(mine, V)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert recordings.missing([mine], V) == [mine]
    recordings.write(recording(mine), path)
    assert recordings.missing([mine], V) == []


def test_unknown_keys_are_refused(tmp_path: Path) -> None:
    """A key of a later format is not dropped silently."""
    data = {**json.loads(full(scenario()).dumps()), "later": 1}
    (tmp_path / "a.json").write_text(json.dumps(data))
    with pytest.raises(RecordingError, match="later"):
        recordings.read(tmp_path / "a.json")


def test_cache_folder_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the cache is in the user's own cache folder."""
    monkeypatch.delenv("PARITY_CACHE")
    assert cache_folder().name == "recordings"
    assert "proxy-parity" in cache_folder().parts

"""Collecting parts: each a file, kept while it holds, and a failure is a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from parity.measuring import collect
from parity.measuring.collect import Part, Settings
from parity.measuring.model import MeasureError, Source, measure_schema, read
from tests.parity.decision.parts import source


def settings(folder: Path, *, quick: bool = True) -> Settings:
    return Settings(quick=quick, folder=folder)


def parts(counted: list[str], fails: str = "", about: float = 1.0) -> dict[str, Part]:
    def part(name: str) -> Part:
        def measured(_settings: Settings, say: Callable[[str], None]) -> Source:
            counted.append(name)
            say(f"measuring {name}")
            if name == fails:
                raise MeasureError(
                    "it could not be done: /home/someone/venv/bin/python: Bearer sk-abcdefghijklmnopqrstuvwx"
                )
            found = source().data
            assert isinstance(found, Source)
            return found

        return Part(about, about, measured)

    return {name: part(name) for name in ("source", "soak")}


def test_each_part_is_a_file_of_the_published_form(tmp_path: Path) -> None:
    """With its time, command, inputs, versions and the machine's kind, but neither its name nor a path."""
    found = collect.collect(settings(tmp_path), lambda _: None, parts=parts([]))
    assert {path.name for path in tmp_path.iterdir()} == {"source.json", "soak.json"}
    text = (tmp_path / "soak.json").read_text()
    Draft202012Validator(measure_schema()).validate(json.loads(text))
    assert read(tmp_path / "soak.json") == found["soak"]
    assert found["soak"].command == "parity measure --part soak --quick"
    assert str(Path.home()) not in text


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """A second run measures nothing, and says so; a damaged file, or other inputs, are measured again."""
    counted: list[str] = []
    said: list[str] = []
    collect.collect(settings(tmp_path), said.append, parts=parts(counted))
    collect.collect(settings(tmp_path), said.append, parts=parts(counted))
    assert counted == ["source", "soak"]
    assert "2 of 2 parts are measured already; the rest takes about 0 s" in said
    (tmp_path / "soak.json").write_text("{")
    collect.collect(settings(tmp_path), said.append, parts=parts(counted))
    assert counted == ["source", "soak", "soak"]
    collect.collect(settings(tmp_path, quick=False), said.append, parts=parts(counted))
    assert counted[3:] == ["source", "soak"]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """What was done before is in its file; nothing half is."""
    counted: list[str] = []
    broken = parts(counted)

    def interrupted(_settings: Settings, _say: Callable[[str], None]) -> Source:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect.collect(
            settings(tmp_path),
            lambda _: None,
            parts={**broken, "soak": replace(broken["soak"], measure=interrupted)},
        )
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]
    collect.collect(settings(tmp_path), lambda _: None, parts=broken)
    assert counted == ["source", "soak"]


def test_a_failure_holds_up_nothing(tmp_path: Path) -> None:
    """The part says why, without secrets or folders of the machine, and is tried again the next time."""
    counted: list[str] = []
    found = collect.collect(settings(tmp_path), lambda _: None, parts=parts(counted, fails="source"))
    assert (found["source"].data, found["soak"].problem) == (None, "")
    assert "it could not be done: …/python" in found["source"].problem
    assert "sk-abc" not in (tmp_path / "source.json").read_text()
    collect.collect(settings(tmp_path), lambda _: None, parts=parts(counted))
    assert counted == ["source", "soak", "source"]


def test_quick_begins_nothing_that_it_has_no_time_for(tmp_path: Path) -> None:
    """Such a part is left out, and says so; thoroughly it would be measured."""
    counted: list[str] = []
    slow = parts(counted, about=collect.QUICK_SECONDS + 1)
    found = collect.collect(settings(tmp_path), lambda _: None, parts=slow)
    assert counted == []
    assert "no time left" in found["soak"].problem
    collect.collect(settings(tmp_path, quick=False), lambda _: None, only=["soak"], parts=slow)
    assert counted == ["soak"]


def test_folders_are_read_without_measuring(tmp_path: Path) -> None:
    """A folder without parts, or with a damaged one, is told; others give what they have."""
    with pytest.raises(MeasureError, match="no measurements; `parity measure --out"):
        collect.load(tmp_path)
    collect.collect(settings(tmp_path), lambda _: None, parts=parts([]))
    assert list(collect.load(tmp_path)) == ["source", "soak"]
    (tmp_path / "soak.json").write_text('{"part": 1}')
    with pytest.raises(MeasureError, match=r"soak\.json: no file of `parity measure`"):
        collect.load(tmp_path)


def test_time_is_said_in_words_that_fit() -> None:
    """Seconds, then minutes."""
    assert (collect._time(12), collect._time(600)) == ("12 s", "10 min")

"""What changed, and with which release: over versions that are made up, so that none is installed."""

from __future__ import annotations

import json
from math import ceil, log2
from pathlib import Path
from typing import Any

import pytest

from parity.versions import changelog, history
from parity.versions.environments import Environment, NotInstallable
from parity.versions.history import Change, NotPlayed, Player, Selected, as_json, bisect, differences
from tests.parity.builders import scenario

SCENARIO = scenario("chat.plain")


class Made(Selected):
    """Answers status 200 up to a version, 503 from it on; another one can't be played."""

    def __init__(self, bad: int, broken: tuple[str, ...] = ()) -> None:
        super().__init__([SCENARIO], "", [])
        self.bad, self.broken = bad, broken

    def play(self, env: Environment) -> history.Seen:
        if env.name in self.broken:
            raise NotPlayed(f"{env.name} ended")
        status = 503 if int(env.name) >= self.bad else 200
        return {"chat.plain": {"process": [{"status": status, "text": "same"}]}}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that were installed, in their order; those that begin with 9 can't be."""
    made: list[str] = []

    def environment(wanted: str, _say: Any) -> Environment:
        if wanted.startswith("9"):
            raise NotInstallable(f"{wanted}: no such release")
        made.append(wanted)
        return Environment(wanted, Path("python"), wanted, 1.0, ("a note",))

    monkeypatch.setattr(history, "environment", environment)
    return made


def player(selected: Selected) -> Player:
    return Player(selected, lambda _: None)


@pytest.mark.parametrize("count", [2, 3, 5, 8, 9, 16, 17, 33])
def test_bisect_names_the_first_release(installed: list[str], count: int) -> None:
    """Wherever it changed, it is found with no more installs than halving takes, and one."""
    versions = [str(n) for n in range(100, 100 + count)]
    for bad in range(101, 101 + count):
        installed.clear()
        found = bisect(player(Made(bad)), versions)
        assert found.first == (str(bad) if str(bad) in versions else None)
        assert found.before == str(min(bad - 1, 99 + count))
        assert len(installed) <= ceil(log2(count)) + 1
        assert [(c.path, c.before, c.after) for c in found.changes] == (
            [("$[0].status", 200, 503)] if found.first else []
        )


def test_bisect_leaves_out_what_cannot_be_installed(installed: list[str]) -> None:
    """Releases that can't be installed or played are named, and the others decide."""
    versions = ["100", "101", "9001", "102", "9002", "103", "104"]
    found = bisect(player(Made(103, broken=("102",))), versions)
    assert (found.first, found.before) == ("103", "101")
    assert set(found.left_out) <= {"9001", "9002", "102"}
    assert found.left_out
    assert found.between == [name for name in versions if name in found.left_out and int(name[:3]) != 101]
    with pytest.raises(NotPlayed, match="9000"):
        bisect(player(Made(1)), ["9000", "100"])


def test_bisect_says_where_it_could_not_look(installed: list[str]) -> None:
    """Between the last release as before and the first that isn't, those left out are named: one may be the first."""
    found = bisect(player(Made(102, broken=("102",))), ["100", "101", "102", "103"])
    assert (found.first, found.before, found.between) == ("103", "101", ["102"])
    found = bisect(player(Made(103, broken=("101",))), ["100", "101", "102", "103"])
    assert (found.first, found.before, found.between) == ("103", "102", [])
    found = bisect(player(Made(999, broken=("103",))), ["100", "101", "102", "103"])
    assert (found.first, found.before, found.between) == (None, "102", ["103"])


def test_what_fails_once_is_played_once_more(installed: list[str]) -> None:
    """A machine that is busy for a moment takes no release out of a history; one that fails twice is left out."""

    class Busy(Made):
        tries = 0

        def play(self, env: Environment) -> history.Seen:
            self.tries += 1
            if self.tries == 1:
                raise NotPlayed("busy")
            return super().play(env)

    said: list[str] = []
    seen, step = Player(Busy(101), said.append).play("100")
    assert (seen is None, step.problem, said) == (False, "", ["once more: busy"])
    seen, step = Player(Made(101, broken=("100",)), said.append).play("100")
    assert (seen, step.problem) == (None, "100 ended")


def test_bisect_looks_below_a_path(installed: list[str]) -> None:
    """What changes elsewhere is not what is looked for."""
    assert bisect(player(Made(101)), ["100", "101"], "$[0].text").first is None
    assert bisect(player(Made(101)), ["100", "101"], "$[0].status").first == "101"


def test_versions_are_compared_with_the_one_before(installed: list[str]) -> None:
    """A release that is left out is stepped over; each is said with its time, and what is left."""
    said: list[str] = []
    steps = Player(Made(102), said.append).follow(["100", "9000", "101", "102"])
    assert [(s.version, s.since, len(s.changes), bool(s.problem)) for s in steps] == [
        ("100", "", 0, False),
        ("9000", "", 0, True),
        ("101", "100", 0, False),
        ("102", "101", 1, False),
    ]
    assert "left out: 9000: no such release" in said
    assert said[-1].startswith("4 of 4 · 102: 1 changes · 1 s to install, ")
    assert json.loads(as_json(steps))[3]["changes"][0]["before"] == 200


def test_the_page_tells_each_release(installed: list[str]) -> None:
    """The newest comes first; a kind of change is a line with both values, scenarios and clauses."""
    steps = player(Made(102)).follow(["100", "9000", "101", "102"])
    page = changelog.page(steps, [SCENARIO], "parity changelog --from=100")
    assert "Made by `parity changelog --from=100`, which plays 1 scenario on every version." in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## 102",
        "## 101",
        "## 9000",
        "## 100",
    ]
    assert "- process `$.status`: `200` became `503` (`chat.plain`; " in page
    assert "Nothing since 100." in page
    assert "Left out: 9000: no such release" in page


def test_values_that_changed_together_are_one_line() -> None:
    """At one path in the same scenarios: three values and how many more; another scenario is another line."""
    numbers = [Change("chat.plain", "sdk", f"$[0].frames[{n}].number", n, n + 6, ("a.b",)) for n in range(5)]
    other = Change("chat.other", "sdk", "$[0].frames[9].number", 0, 6, ("a.c",))
    steps = [history.Step("2", [*numbers, other], since="1")]
    lines = changelog.page(steps, [SCENARIO, SCENARIO], "parity versions 1 2").splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- sdk `$.frames[…].number`: `0` became `6` (`chat.plain`, `chat.other`; a.b, a.c)",
        "- sdk `$.frames[…].number`: `1` became `7`, `2` became `8`, `3` became `9` and 1 more (`chat.plain`; a.b)",
    ]


def test_what_is_there_on_one_side_alone_is_absent_on_the_other() -> None:
    """A key that came is `<absent>` before; a subject or scenario that one side lacks is not compared."""
    one = {"chat.plain": {"process": {"a": 1}, "sdk": {"a": 1}}}
    other = {"chat.plain": {"process": {"a": 1, "b": None}}}
    [change] = differences(one, other, [SCENARIO])
    assert (change.subject, change.path, change.before, change.after) == ("process", "$.b", "<absent>", None)
    assert differences(one, {}, [SCENARIO]) == []
    classed = {"chat.plain": {"process": {"a": 1, "$class": "litellm:Usage", "$unset": ["b"]}}}
    assert differences(one, classed, [SCENARIO]) == []


def test_what_was_seen_is_kept_with_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version is played once for the same scenarios; a folder's copy, which may be edited, each time."""
    runs: list[list[str]] = []

    def run(env: Environment, module: list[str]) -> None:
        runs.append(module)
        Path(module[1]).write_text(json.dumps({"chat.plain": {"process": [1], "sdk": [2]}}))

    monkeypatch.setattr(history, "_run", run)
    selected = Selected([SCENARIO], "plain", [tmp_path], subjects=("sdk",))
    kept = Environment("1", tmp_path / "bin" / "python", "1", 0.0)
    assert selected.play(kept) == selected.play(kept) == {"chat.plain": {"sdk": [2]}}
    assert len(runs) == 1
    assert runs[0][2:] == ["sdk", "plain", str(tmp_path)]
    selected.play(Environment("copy", kept.python, "1", 0.0, kept=False))
    assert len(runs) == 2


def test_what_a_proxy_answered_is_kept_for_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a change of the proxies they are played again; LiteLLM alone, which it says nothing of, isn't."""
    played: list[str] = []

    def play(_selected: Selected, _env: Environment, kind: str) -> history.Seen:
        played.append(kind)
        return {"chat.plain": {kind: len(played)}}

    monkeypatch.setattr(Selected, "_proxy", play)
    monkeypatch.setattr(Selected, "_alone", play)
    monkeypatch.setattr(history, "_SOURCES", tmp_path)
    code = tmp_path / "proxies" / "answers.py"
    code.parent.mkdir()
    env = Environment("1", tmp_path / "bin" / "python", "1", 0.0)
    for text in ("one = 1", "one = 1", "two = 2"):
        code.write_text(text)
        Selected([SCENARIO], "plain", [], subjects=("sdk", "binary")).play(env)
    assert played == ["sdk", "binary", "binary"]


def test_what_could_not_be_played_says_why(tmp_path: Path) -> None:
    """The end of what the environment said is in the message."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no litellm here >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(NotPlayed, match="no litellm here"):
        Selected([SCENARIO], "", [], subjects=("process",)).play(Environment("1", python, "1", 0.0))
    with pytest.raises(NotPlayed, match="no litellm here"):
        Selected([SCENARIO], "a", [tmp_path], subjects=("sdk-proxy",)).play(
            Environment("1", python, "1", 0.0)
        )

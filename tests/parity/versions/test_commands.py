"""`parity versions`, `bisect` and `changelog`, on versions that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from parity.cli import main
from parity.commands import versions
from parity.versions import history
from parity.versions.environments import Environment, NotInstallable


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases 1 to 9, of which 4 can't be installed; from 6 on a status is another."""

    def environment(wanted: str, _say: Any) -> Environment:
        if wanted == "4":
            raise NotInstallable("4 can't be installed here: no such release")
        return Environment(wanted, Path("python"), wanted, 1.0)

    def play(selected: history.Selected, env: Environment) -> history.Seen:
        status = 503 if int(env.name) >= 6 else 529
        return {s.id: {"process": [{"status": status}]} for s in selected.scenarios}

    def releases(after: str, until: str | None = None) -> list[str]:
        if after == "0":
            raise NotInstallable("the list of releases can't be read")
        return [str(n) for n in range(int(after), int(until or "9") + 1)]

    monkeypatch.setattr(history, "environment", environment)
    monkeypatch.setattr(history.Selected, "play", play)
    monkeypatch.setattr(versions, "releases", releases)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "-k", "openai_status and errors and 529"])


def test_versions_ends_in_what_changed(tmp_path: Path) -> None:
    """Exit code 1 when something changed, 0 when nothing did, 2 when nothing could be compared; JSON on demand."""
    result = run("versions", "3", "4", "6", "--json", str(tmp_path / "a.json"))
    assert result.exit_code == 1
    assert "`529` became `503`" in result.stdout
    assert "left out: 4 can't be installed here" in result.stderr
    assert "s left" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("2 of 3 versions played, 1 change, 2 installs, ")
    assert [step["version"] for step in json.loads((tmp_path / "a.json").read_text())] == ["3", "4", "6"]
    assert run("versions", "2", "3").exit_code == 0
    assert run("versions", "2", "4").exit_code == 2


def test_bisect_prints_the_release_and_what_it_took() -> None:
    """The last line names the first release, with installs and seconds; before it stand both values."""
    result = run("bisect", "--good", "1", "--bad", "9", "--path", "$[0].status")
    assert result.exit_code == 1
    assert "errors.openai_status[529] · process · $[0].status\n  5: 529\n  6: 503\n" in result.stdout
    assert "first changed in 6, last as before in 5 · 9 releases, " in result.stdout
    assert "9 releases from 1 to 9: 5 installs at most" in result.stderr
    unchanged = run("bisect", "--good", "1", "--among", "2", "--among", "4", "--among", "5")
    assert (unchanged.exit_code, unchanged.stdout.count("no change")) == (0, 1)
    assert "left out: 4" in unchanged.stdout
    between = run("bisect", "--good", "3", "--bad", "6", "--path", "$[0].status").stdout
    assert "first changed in 6, last as before in 5 · " in between
    between = run("bisect", "--good", "3", "--among", "4", "--among", "6").stdout
    assert "last as before in 3; unknown of 4, which could not be played · " in between


def test_bisect_says_what_is_missing() -> None:
    """A good version that can't be had, a list that can't be read, no scenario: exit code 2, and a sentence."""
    for arguments, sentence in (
        (("--good", "4"), "the good version can't be played"),
        (("--good", "0"), "the list of releases can't be read"),
    ):
        result = run("bisect", *arguments)
        assert (result.exit_code, sentence in result.stderr) == (2, True)
    nothing = CliRunner().invoke(main, ["bisect", "--good", "1", "-k", "nothing_is_called_so"])
    assert (nothing.exit_code, "no scenario is selected" in nothing.stderr) == (2, True)


def test_changelog_is_a_page_and_json(tmp_path: Path) -> None:
    """For every release a heading, on standard output or in a file."""
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    assert run("changelog", "--from", "5", "--out", str(page), "--json", str(data)).exit_code == 0
    assert (
        "`parity changelog --from=5 -k 'openai_status and errors and 529'`, which plays 1 scenario"
        in page.read_text()
    )
    assert page.read_text().count("\n## ") == len(json.loads(data.read_text())) == 5
    assert "## 5" in run("changelog", "--from", "5", "--to", "6").stdout
    assert "Nothing since 3." in run("changelog", "--from", "3", "--among", "5").stdout
    assert run("changelog", "--from", "4", "--to", "4").exit_code == 2

"""What passed where litellm isn't, is left out where it is, and nothing else is."""

from __future__ import annotations

import pytest

from tests import once

pytest_plugins = ["pytester"]

PLAIN = """
def test_passes(): pass
def test_fails(): assert False
"""
ASKING = """
import pytest
def test_passes(): pass
def test_skips(): pytest.importorskip("not_there")
"""

SKIPPING = """
import pytest
pytestmark = pytest.mark.once
def test_passes(): pass
def test_skips(): pytest.importorskip("not_there")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with two files of tests, which have been run once, and what passed noted."""
    monkeypatch.setattr(once, "ROOT", pytester.path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers = once")
    (pytester.path / "tests").mkdir()
    (pytester.path / "tests/test_plain.py").write_text(PLAIN)
    (pytester.path / "tests/test_asking.py").write_text(ASKING)
    run(pytester, "--note-passed=.noted/passed").assert_outcomes(passed=2, failed=1, skipped=1)
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    return project.runpytest_inprocess("-p", "tests.once", "-p", "no:randomly", "tests", *options)


def test_what_passed_is_left_out(project: pytest.Pytester) -> None:
    """A failure is run again, and so is all of a file that asks for litellm."""
    run(project, "--passed=.noted/passed").assert_outcomes(passed=1, failed=1, skipped=1, deselected=1)


@pytest.mark.parametrize("name", ["tests/test_plain.py", "tests/another.py", "pyproject.toml"])
def test_any_change_runs_everything(project: pytest.Pytester, name: str) -> None:
    """What was noted counts for the very same files."""
    with (project.path / name).open("a") as file:
        file.write("\n# changed")
    run(project, "--passed=.noted/passed").assert_outcomes(passed=2, failed=1, skipped=1)


def test_without_a_note_everything_runs(project: pytest.Pytester) -> None:
    """An environment of its own leaves nothing out."""
    run(project, "--passed=.noted/absent").assert_outcomes(passed=2, failed=1, skipped=1)
    run(project).assert_outcomes(passed=2, failed=1, skipped=1)


def test_a_file_that_only_skips_is_run_once(project: pytest.Pytester) -> None:
    """What passed there is left out, though the file asks for litellm; what was skipped is run."""
    (project.path / "tests/test_skipping.py").write_text(SKIPPING)
    run(project, "--note-passed=.noted/passed").assert_outcomes(passed=3, failed=1, skipped=2)
    run(project, "--passed=.noted/passed").assert_outcomes(passed=1, failed=1, skipped=2, deselected=2)

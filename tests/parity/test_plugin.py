"""The pytest plugin, run on small scenario folders with a fake target: every cell is accounted for."""

from __future__ import annotations

import re

import pytest

from parity import plugin
from parity.judging.verdict import Cell
from parity.plugin import cell_of, node_name
from parity.targets import target
from tests.root import ROOT

pytest_plugins = ["pytester"]


FAKE = """
import asyncio
import os
from parity import plugin
from parity.targets import target
from parity.observation.model import Exchange, Observation, Response
from parity.recording.file import RecordingError


class Fake:
    def __init__(self, arm, litellm):
        self.name, self.tier = arm, "mocked"

    async def observe(self, scenario):
        _, _, does = scenario.id.partition(".")
        if does == "dies" and self.name == "sdk":
            os._exit(13)
        if does == "raises":
            raise LookupError("a bug in the harness")
        if does == "hangs":
            await asyncio.Event().wait()
        if does == "unrecorded":
            raise RecordingError("nobody recorded it")
        status = 201 if does == "differs" and self.name == "sdk" else 200
        text = "torn \\ud83d" if does == "torn" else None
        response = Response(status=status, headers={}, text=text)
        exchange = Exchange(method="GET", path="/health", response=response)
        return Observation(scenario=scenario.id, target=self.name, tier="mocked", exchanges=[exchange])


target.MockedTarget = Fake
plugin.CELL_DEADLINE = float(os.environ["CELL_DEADLINE"])
"""


class Project:
    """A user's folder of scenarios, and pytest run in it with nothing but our plugin and xdist."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        pytester.makeconftest(FAKE)
        self.folder = pytester.mkdir("scenarios")
        self.ledger = pytester.path / "ledger.yaml"
        self.ledger.write_text("[]")

    def scenario(self, name: str, more: str = "") -> None:
        text = f"id: mine.{name}\ntitle: A promise.\nclient: [{{method: GET, path: /health}}]\n"
        (self.folder / f"{name}.yaml").write_text(f"{text}expect: {{responses: [{{}}]}}\n{more}")

    def run(self, *arguments: str, workers: int = 0, tier: str | None = "mocked") -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(
            *("-p", "xdist.plugin", "-p", "parity.plugin", "-p", "no:cacheprovider", "-n", str(workers)),
            *(("--parity-tier", tier) if tier else ()),
            *("--parity-ledger", str(self.ledger)),
            *(arguments or (str(self.folder),)),
        )


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CELL_DEADLINE", "30")
    # The project's conftest puts others in their place.
    monkeypatch.setattr(target, "MockedTarget", target.MockedTarget)
    monkeypatch.setattr(plugin, "CELL_DEADLINE", plugin.CELL_DEADLINE)
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    return Project(pytester)


def verdict(result: pytest.RunResult) -> str:
    """The verdict line, without what was masked."""
    found = re.findall(r"^((?:PASS|FAIL|INCOMPLETE) .*?) · masked", result.stdout.str(), re.MULTILINE)
    assert len(found) == 1, result.stdout.str()
    return str(found[0])


@pytest.mark.parametrize("case", ["429", "a@b", "::", "a::b@c", "Grüße 🌍", "a b/c"])
def test_node_names_lead_back_to_their_cell(case: str) -> None:
    """Whatever a case is called, its item's name says which cell it is."""
    cell = Cell(scenario=f"errors.status[{case}]", target="binary")
    assert cell_of(node_name(cell)) == cell


@pytest.mark.parametrize("workers", [0, 2])
def test_every_planned_cell_is_reported(project: Project, workers: int) -> None:
    """Scenarios times targets, each reported once, with and without workers; the verdict passes."""
    for name in ("one", "two", "torn"):
        project.scenario(name)
    project.scenario("cases", 'cases: {"::": {}, "a@b": {}, "Grüße": {}}')
    result = project.run(workers=workers)
    assert verdict(result).startswith(
        "PASS mocked binary | sdk: cells 12 planned = 12 reported · scenarios 6"
    )
    assert result.ret == 0
    result.assert_outcomes(passed=12)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_difference_fails_the_run_though_every_cell_was_played(project: Project, workers: int) -> None:
    """The items pass, since they could be played; the verdict fails, and so does the exit code."""
    project.scenario("one")
    project.scenario("differs")
    result = project.run(workers=workers)
    assert verdict(result).startswith("FAIL mocked binary | sdk: cells 4 planned = 4 reported")
    assert "unexplained 1" in verdict(result)
    result.assert_outcomes(passed=4)
    assert result.ret == 1


def test_a_worker_that_dies_makes_the_run_incomplete(project: Project) -> None:
    """The cell that was under way is missing, the others are reported by who is left, and nothing passes."""
    for name in ("one", "dies", "two"):
        project.scenario(name)
    result = project.run(workers=2)
    assert verdict(result).startswith(
        "INCOMPLETE mocked binary | sdk: cells 6 planned ≠ 5 reported (missing 1) · scenarios 3"
    )
    assert result.ret != 0


def test_a_cell_that_hangs_does_not_hold_up_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named when its time is over, and the others are played."""
    monkeypatch.setenv("CELL_DEADLINE", "0.5")
    project.scenario("hangs")
    project.scenario("one")
    result = project.run()
    result.stdout.fnmatch_lines(["*mine.hangs@binary was not over after 0.5 s*"])
    assert verdict(result).startswith("INCOMPLETE")
    result.assert_outcomes(passed=2, failed=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cell_that_cannot_be_played_is_missing(project: Project, workers: int) -> None:
    """A bug of the harness is no observation: the run is incomplete, the other cells are reported."""
    project.scenario("one")
    project.scenario("raises")
    result = project.run(workers=workers)
    assert "cells 4 planned ≠ 2 reported (missing 2)" in verdict(result)
    assert verdict(result).startswith("INCOMPLETE")
    assert result.ret == 1
    result.assert_outcomes(passed=2, failed=2)


def test_stopping_early_is_incomplete(project: Project) -> None:
    """A run that was told to stop at the first failure accounts for the cells that it left out."""
    project.scenario("raises")
    project.scenario("two")
    result = project.run("-x", str(project.folder))
    assert "cells 4 planned ≠ 0 reported (missing 4)" in verdict(result)
    assert result.ret != 0


def test_failures_are_short(project: Project) -> None:
    """What a user can mend is its sentence alone; a bug shows our frames, not those of pytest."""
    project.scenario("raises")
    project.scenario("unrecorded")
    out = project.run("--parity-target", "binary", str(project.folder)).stdout.str()
    assert "\nnobody recorded it\n" in out
    assert "a bug in the harness" in out
    assert "_pytest/" not in out
    assert "pluggy/" not in out


def test_a_selection_is_what_is_planned(project: Project) -> None:
    """With -k and --parity-target only the selected cells are planned, so the run is whole."""
    for name in ("one", "two"):
        project.scenario(name)
    result = project.run("-k", "one", str(project.folder))
    assert "cells 2 planned = 2 reported" in verdict(result)
    result = project.run("--parity-target", "sdk", str(project.folder))
    assert verdict(result).startswith("PASS mocked sdk: cells 2 planned = 2 reported")
    assert "not compared 2" in verdict(result)


def test_a_single_file_and_a_single_cell(project: Project) -> None:
    """A file, or a node id as pytest prints it, can be played alone."""
    project.scenario("one")
    project.scenario("two")
    path = project.folder / "two.yaml"
    assert "cells 2 planned = 2 reported" in verdict(project.run(str(path)))
    assert "cells 1 planned = 1 reported" in verdict(project.run(f"{path}::mine.two@binary"))


def test_scenarios_of_the_other_tier_are_left_out(project: Project) -> None:
    """A scenario is played in the tiers that it names."""
    project.scenario("one")
    project.scenario("two", "tiers: [live]\n")
    assert "cells 2 planned = 2 reported · scenarios 1" in verdict(project.run())


def test_nothing_happens_without_the_option(project: Project) -> None:
    """Where the plugin is installed but not asked for, YAML files are no tests and nothing is judged."""
    project.scenario("dies")
    result = project.run(tier=None)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "parity" not in result.stdout.str().replace(str(project.folder), "")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_wrong_scenario_stops_the_run(project: Project, workers: int) -> None:
    """A mistake in a scenario file is named with its place before anything is played."""
    project.scenario("one")
    project.scenario("two", "titel: x\n")
    result = project.run(workers=workers)
    said = result.stdout.str() + result.stderr.str()
    assert "two.yaml:5: titel: " in said
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "cells" not in said


def test_a_wrong_ledger_stops_the_run(project: Project) -> None:
    """So is a mistake in the ledger."""
    project.scenario("one")
    project.ledger.write_text("- {kind: divergence}\n")
    result = project.run()
    assert "ledger.yaml:1" in result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.USAGE_ERROR

"""Running the matrix: pytest underneath, untouched by the project around it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from parity import matrix, plugin
from parity.catalogue.loading import fingerprint, read_file
from parity.catalogue.scenario import Scenario, Tier
from parity.judging.ledger import LedgerError
from parity.judging.verdict import Cell
from parity.matrix import MatrixError, Run
from parity.observation.model import Observation
from parity.recording import file as recordings
from parity.targets import target
from parity.targets.arms import Arm
from tests.parity.builders import observation
from tests.root import ROOT

HEALTH = """\
id: mine.{name}
title: A promise.
client: [{{method: GET, path: {path}, auth: none}}]
expect: {{responses: [{{status: 200}}], provider: {{calls: 0}}}}
"""


class Folder:
    """Scenarios that need no backend, with the empty recordings that belong to them."""

    def __init__(self, path: Path) -> None:
        self.path = path / "scenarios"
        self.path.mkdir()
        self.ledger = path / "ledger.yaml"
        self.ledger.write_text("[]")

    def add(self, name: str, path: str = "/health") -> None:
        file = self.path / f"{name}.yaml"
        file.write_text(HEALTH.format(name=name, path=path))
        for scenario in read_file(file):
            made = recordings.Recording(
                scenario=scenario.id, fingerprint=fingerprint(scenario), litellm=recordings.REFERENCE
            )
            recordings.write(made, recordings.cache_path(scenario, recordings.REFERENCE))

    def run(
        self,
        arms: Sequence[Arm] = ("binary",),
        on_report: Callable[[Cell], None] = lambda _: None,
        **options: Any,
    ) -> Run:
        return matrix.run(matrix.Plan("mocked", arms, [self.path], ledger=self.ledger, **options), on_report)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for workers, wherever they start
    return Folder(tmp_path)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both arms answer alike, without a proxy, unless the scenario is called otherwise."""

    class Fake:
        def __init__(self, arm: str, _litellm: str, tier: Tier = "mocked") -> None:
            self.arm = arm
            self.tier = tier

        async def observe(self, scenario: Scenario) -> Observation:
            if scenario.id == "mine.raises":
                raise LookupError("a bug in the harness")
            return observation(scenario.id, self.arm, tier=self.tier)

    monkeypatch.setattr(target, "MockedTarget", Fake)


def test_a_run_plays_every_cell(folder: Folder) -> None:
    """A real arm is played, the observations come home, and each cell is reported when it is done."""
    folder.add("one")
    folder.add("two")
    reported: list[Cell] = []
    done = folder.run(on_report=reported.append)
    assert done.verdict.line.startswith("PASS mocked binary: cells 2 planned = 2 reported")
    assert [cell.scenario for cell in reported] == ["mine.one", "mine.two"]
    assert {o.scenario for o in done.observations} == {"mine.one", "mine.two"}
    assert done.crashes == {}


def test_workers_change_nothing(folder: Folder) -> None:
    """With and without worker processes the verdict is the same to the byte."""
    for name in ("one", "two", "three"):
        folder.add(name)
    folder.add("gone", "/nowhere")  # breaks its promise
    alone, shared = (folder.run(workers=workers).verdict for workers in ("0", "2"))
    assert alone.model_dump_json() == shared.model_dump_json()
    assert alone.line.startswith("FAIL mocked binary: cells 4 planned = 4 reported")


@pytest.mark.usefixtures("fake")
def test_both_arms_are_compared(folder: Folder) -> None:
    """Two arms make two cells a scenario, the first one named being the base."""
    folder.add("one")
    verdict = folder.run(("sdk", "binary")).verdict
    assert verdict.targets == ("sdk", "binary")
    assert [scenario.parity for scenario in verdict.scenarios] == ["identical"]


@pytest.mark.usefixtures("fake")
def test_a_cell_that_raises_is_a_crash(folder: Folder) -> None:
    """What went wrong in the harness is handed over by node, and the verdict is incomplete."""
    folder.add("one")
    folder.add("raises")
    done = folder.run()
    assert done.verdict.exit_code == 2
    (node,) = done.crashes
    assert node.endswith("raises.yaml::mine.raises@binary")
    assert "a bug in the harness" in done.crashes[node]


@pytest.mark.usefixtures("fake")
def test_an_expression_selects(folder: Folder) -> None:
    """Only what matches is planned."""
    folder.add("one")
    folder.add("two")
    assert [s.id for s in folder.run(expression="two or nothing").verdict.scenarios] == ["mine.two"]


def test_selecting_nothing_is_an_error(folder: Folder) -> None:
    """A run without a single cell never passes for a good one."""
    folder.add("one")
    with pytest.raises(MatrixError, match="no scenario is selected"):
        folder.run(expression="nothing_like_it")


def test_a_wrong_scenario_is_named(folder: Folder) -> None:
    """The reason is the scenario's mistake, not pytest's way of telling it."""
    folder.add("one")
    (folder.path / "two.yaml").write_text("id: mine.two\n")
    with pytest.raises(MatrixError, match=r"two\.yaml:1: title: "):
        folder.run()


def test_a_missing_ledger_is_named(folder: Folder) -> None:
    """So is a ledger that isn't there."""
    folder.add("one")
    folder.ledger.unlink()
    with pytest.raises(LedgerError, match=r"ledger\.yaml"):
        folder.run()


def test_a_wrong_ledger_is_told_once(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    """Its mistake is the error's one sentence, and nothing of it is printed on the way."""
    folder.add("one")
    folder.ledger.write_text("entries: 1\n")
    with pytest.raises(LedgerError) as caught:
        folder.run()
    assert str(caught.value) == f"{folder.ledger}:1: a ledger is a list of entries; write [] for none"
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("fake")
def test_the_project_around_does_not_touch_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its conftest, nor its configuration, nor its environment, nor its plugins change what is run."""
    folder.add("one")
    project = folder.path.parent
    for place in (project, folder.path):
        (place / "conftest.py").write_text("raise RuntimeError('conftest was loaded')")
    (project / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (project / "test_mine.py").write_text("def test_mine(): assert False")
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    before = dict(os.environ)
    assert folder.run().verdict.ok
    assert dict(os.environ) == {**before, "PYTEST_VERSION": os.environ.get("PYTEST_VERSION")}


@pytest.mark.usefixtures("fake")
def test_pytest_is_quiet(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of the run underneath gets to standard output, which is the report's; it works again afterwards."""
    folder.add("one")
    folder.run()
    print("after", flush=True)
    os.write(1, b"by number\n")
    assert capfd.readouterr().out == "after\nby number\n"


def test_a_proxy_that_served_with_a_gap_makes_the_run_incomplete(
    folder: Folder, fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live tier asks its stack before it ends it, and never calls a restarted LiteLLM a fault of the proxies."""
    ended: list[str] = []

    class Stack:
        def target(self, arm: Arm) -> Any:
            return target.MockedTarget(arm, "", tier="live")

        def gaps(self) -> list[str]:
            assert not ended
            return ["the LiteLLM process was started again"]

    @contextlib.contextmanager
    def serve(*_: Any) -> Iterator[Stack]:
        yield Stack()
        ended.append("the stack")

    monkeypatch.setattr(plugin.stack, "serve", serve)
    folder.add("one")
    verdict = matrix.run(matrix.Plan("live", ("binary",), [folder.path], ledger=folder.ledger)).verdict
    assert (verdict.exit_code, verdict.missing, verdict.unplanned) == (2, (), ())
    assert verdict.problems == ("the LiteLLM process was started again",)
    assert ended

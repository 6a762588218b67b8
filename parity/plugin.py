"""Collects scenario files as a pytest plugin, plays a cell an item, and accounts for every cell.

    controller   knows what was planned, receives every observation, starts the live stack
    worker       plays cells; the observation travels home in the test report

Without xdist one process is both. Nothing happens unless `--parity-tier` is given; the fixtures of the test kit
are there at any time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from parity.catalogue import loading
from parity.catalogue.scenario import TIERS, Scenario, Tier
from parity.judging.ledger import BUILT_IN, Ledger, LedgerError, Subject
from parity.judging.verdict import Cell, Verdict, judge
from parity.observation.file import dumps, loads, versions
from parity.observation.model import Observation
from parity.recording.file import REFERENCE, RecordingError
from parity.targets import stack, target
from parity.targets.arms import ARMS, arm_of

pytest_plugins = ("parity.kit.fixtures",)

PROPERTY = "parity-observation"
STACK = "parity_stack"
CELL_DEADLINE = 120.0
"""The seconds for one cell. None needs a tenth of it; what hangs is named instead of holding up the run."""
# Matches the item's own name, since the node id of a file outside of the root folder lacks one. The dot
# keeps Python's tests out.
_CELL = re.compile(
    r"(?P<scenario>[a-z0-9_]+(\.[a-z0-9_]+)+(\[[^\[\]]+\])?)@(?P<target>(" + "|".join(ARMS) + r")(@[\w.]+)?)"
)


def node_name(cell: Cell) -> str:
    """Return the name of a cell's item: `errors.openai_status[429]@binary`."""
    return f"{cell.scenario}@{cell.target}"


def cell_of(name: str) -> Cell | None:
    """Return the cell of an item's name; None for an item that is none of ours."""
    found = _CELL.fullmatch(name)
    return None if found is None else Cell(scenario=found["scenario"], target=found["target"])


def _arm(name: str) -> str:
    """Return the name of a target as it was given. Raises `ValueError` for none."""
    arm_of(name)
    return name


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("parity", "the parity matrix")
    group.addoption("--parity-tier", choices=TIERS, help="collect scenario files and play them in this tier")
    group.addoption(
        "--parity-target",
        action="append",
        type=_arm,
        metavar="ARM",
        help="play on this arm only, ARM or ARM@VERSION of LiteLLM (repeatable; default: both)",
    )
    group.addoption(
        "--parity-majority", action="store_true", help="compare the targets with what most of them show"
    )
    group.addoption(
        "--parity-litellm", metavar="VERSION", help="the LiteLLM whose recordings the mocked tier plays"
    )
    group.addoption(
        "--parity-ledger", default=str(BUILT_IN), metavar="FILE", help="the ledger of known divergences"
    )


def pytest_configure(config: pytest.Config) -> None:
    tier: Tier | None = config.getoption("parity_tier")
    if tier is None:
        return
    chosen = tuple(config.getoption("parity_target") or ARMS)
    litellm = config.getoption("parity_litellm") or (
        versions("litellm").get("litellm") if tier == "live" else None
    )
    if hasattr(config, "workerinput"):
        text = config.workerinput.get(STACK)
        live = stack.Stack.load(text) if text else None
        config.pluginmanager.register(Player(tier, chosen, litellm, live), "parity-player")
        return
    config.pluginmanager.register(Player(tier, chosen, litellm), "parity-player")
    if not config.pluginmanager.has_plugin("parity-controller"):
        config.pluginmanager.register(Controller(), "parity-controller")


@pytest.hookimpl(tryfirst=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    player: Player | None = parent.config.pluginmanager.get_plugin("parity-player")
    if player is None or file_path.suffix not in loading.SUFFIXES:
        return None
    file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return file


class Player:
    """Lists the cells of a run, and plays them."""

    def __init__(
        self, tier: Tier, chosen: Iterable[str], litellm: str | None = None, live: stack.Stack | None = None
    ) -> None:
        self.tier = tier
        self.litellm = litellm or REFERENCE
        self.arms = tuple(chosen)
        self.live = live

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the cells of an arm beside each other: each worker that plays one of sdk's imports LiteLLM first."""
        items.sort(key=lambda item: self.arms.index(item.arm) if isinstance(item, ScenarioItem) else -1)

    def target(self, name: str) -> target.Target:
        arm, _ = arm_of(name)
        if self.tier == "mocked":
            return target.MockedTarget(arm, self.played_by(name))
        assert self.live is not None, "the controller starts the live stack before any cell is played"
        return self.live.target(arm)

    def played_by(self, name: str) -> str:
        """Return the version of LiteLLM behind a target."""
        return arm_of(name)[1] or self.litellm


class ScenarioFile(pytest.File):
    """Collects a YAML file; one item a scenario and target."""

    def collect(self) -> Iterator[pytest.Item]:
        player = _player(self.config)
        try:
            scenarios = list(loading.read_file(self.path))
        except loading.CatalogueError as error:
            raise self.CollectError(str(error)) from None
        for scenario in scenarios:
            if player.tier in scenario.tiers:
                for arm in player.arms:
                    yield ScenarioItem.from_parent(
                        self,
                        name=node_name(Cell(scenario=scenario.id, target=arm)),
                        scenario=scenario,
                        arm=arm,
                        player=player,
                    )


class ScenarioItem(pytest.Item):
    """Plays one cell.

    It passes when the scenario could be played; what was seen is judged by the controller.
    """

    def __init__(self, *, scenario: Scenario, arm: str, player: Player, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario
        self.arm = arm
        self.player = player

    def runtest(self) -> None:
        async def observed() -> Observation:
            async with asyncio.timeout(CELL_DEADLINE):
                return await self.player.target(self.arm).observe(self.scenario)

        try:
            observation = asyncio.run(observed())
        except TimeoutError:
            raise RuntimeError(f"{self.name} was not over after {CELL_DEADLINE:g} s") from None
        seen = observation.model_copy(update={"target": self.arm})  # with the version that it was asked by
        self.user_properties.append((PROPERTY, dumps(seen)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show an error that a user can correct as its sentence, all others as a traceback from our own frame
        on.
        """
        if isinstance(excinfo.value, RecordingError):
            return str(excinfo.value)
        return excinfo.getrepr(style="short", tbfilter=lambda info: info.traceback.cut(path=__file__))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.scenario.title} [{self.arm}]"


class Controller:
    """Plans, collects and judges, once a session, whatever the number of workers."""

    def __init__(self, on_report: Callable[[Cell], None] = lambda _: None) -> None:
        self.planned: list[Cell] = []
        self.observations: list[Observation] = []
        self.crashes: dict[str, str] = {}
        """The failures of the harness or a worker (not of a proxy), by node id."""
        self.failure = ""
        """The reason why nothing could be played at all."""
        self.verdict: Verdict | None = None
        self.catalogue = loading.Catalogue((), {})
        self._on_report = on_report
        self._closing = ExitStack()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        player = _player(session.config)
        try:
            self.catalogue = loading.Catalogue.load(Path(a.partition("::")[0]) for a in session.config.args)
            self._ledger = Ledger.load(Path(session.config.getoption("parity_ledger")))
            if player.tier == "live":
                served = self.catalogue.for_tier("live")
                arms = [arm_of(name)[0] for name in player.arms]
                player.live = self._closing.enter_context(stack.serve(served, arms))
        except (loading.CatalogueError, LedgerError, stack.StackError) as error:
            self.failure = str(error)
            pytest.exit(self.failure, returncode=int(pytest.ExitCode.USAGE_ERROR))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        player = _player(node.config)
        if player.live is not None:
            node.workerinput[STACK] = player.live.dump()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self._plan(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._plan(item.nodeid for item in session.items if isinstance(item, ScenarioItem))

    def _plan(self, ids: Iterable[str]) -> None:
        if not self.planned:  # every worker reports the same collection
            names = (node_id.partition("::")[2] for node_id in ids)
            self.planned = [cell for name in names if (cell := cell_of(name)) is not None]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, value in report.user_properties if report.when == "call" else ():
            if key == PROPERTY:
                observation = loads(Observation, str(value))
                self.observations.append(observation)
                self._on_report(Cell(scenario=observation.scenario, target=observation.target))
        if report.failed:
            self.crashes[report.nodeid] = report.longreprtext

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.crashes[report.nodeid] = report.longreprtext

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        player = _player(session.config)
        gaps = player.live.gaps() if player.live is not None else []
        self._closing.close()
        if self.planned:
            self.verdict = judge(
                self.planned,
                self.observations,
                self.catalogue,
                self._ledger,
                player.tier,
                player.arms,
                gaps,
                subjects={name: Subject(arm_of(name)[0], player.played_by(name)) for name in player.arms},
                majority=session.config.getoption("parity_majority"),
                today=date.today(),
            )
            if not self.verdict.ok and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.verdict is not None:
            terminalreporter.section("parity")
            terminalreporter.line(self.verdict.line)


def _player(config: pytest.Config) -> Player:
    player: Player | None = config.pluginmanager.get_plugin("parity-player")
    assert player is not None
    return player

"""Runs the matrix: pytest underneath, with our plugin and a configuration of its own.

The project in whose folder one stands may configure pytest as it likes; a run of the matrix is not touched by it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from parity.catalogue import loading as catalogues
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Tier
from parity.catalogue.selection import Selection
from parity.judging.ledger import BUILT_IN as BUILT_IN_LEDGER
from parity.judging.ledger import Ledger
from parity.judging.verdict import Cell, Verdict
from parity.observation.file import DECIDING, versions
from parity.observation.model import Observation
from parity.plugin import Controller
from parity.recorder.missing import installed, played_as, record_missing
from parity.support.cores import waiting_workers
from parity.support.progress import progress
from parity.targets.arms import arm_of

INI = Path(__file__).with_name("matrix.ini")


class MatrixError(Exception):
    """Reports that the run could not be made; the message says why."""


@dataclass(frozen=True)
class Plan:
    """Says which cells are played, and how.

    `arms` are names of targets: `binary`, `sdk`, in the mocked tier also with the LiteLLM whose recordings are played,
    `sdk@1.106.2`. `paths` are files or folders of scenarios, none for those that ship; `expression` is pytest's `-k`;
    `workers` a number of processes, or `auto`; `litellm` is the version that the mocked tier plays, by default the one
    that `played_as` chooses.
    """

    tier: Tier
    arms: Sequence[str]
    paths: Sequence[Path] = ()
    expression: str = ""
    workers: str = "0"
    ledger: Path = BUILT_IN_LEDGER
    litellm: str | None = None
    majority: bool = False


@dataclass(frozen=True)
class Run:
    """Holds what a run of the matrix came to."""

    verdict: Verdict
    observations: tuple[Observation, ...]
    crashes: dict[str, str]


def run(plan: Plan, on_report: Callable[[Cell], None] = lambda _: None) -> Run:
    """Play every scenario that the plan selects, on each of its arms.

    Raises `MatrixError`, `SelectionError` for its expression and `LedgerError` for its ledger.
    """
    # Both are read before pytest reads them, since its own messages about them would say less.
    Selection(plan.expression)
    Ledger.load(plan.ledger)
    controller = Controller(on_report)
    arguments = [
        *("-p", "xdist.plugin", "-p", "parity.plugin"),
        *("-c", str(INI), "--rootdir", str(Path.cwd()), "--noconftest", "-p", "no:cacheprovider"),
        *("--parity-tier", plan.tier, "--parity-ledger", str(plan.ledger)),
        # A worker starts with cells that lie together, and takes some of another one's when it has none left.
        *("-n", _workers(plan), "--dist", "worksteal" if plan.workers != "0" else "no"),
        "--import-mode=importlib",
        *(("--parity-majority",) if plan.majority else ()),
        *(("--parity-litellm", plan.litellm) if plan.litellm else ()),
        *(argument for arm in plan.arms for argument in ("--parity-target", arm)),
        *(("-k", plan.expression) if plan.expression else ()),
        *(str(path.resolve()) for path in plan.paths or (catalogues.BUILT_IN,)),
    ]
    registered = _Registered(controller)
    with _alone(), _quiet() as said:
        code = pytest.main(arguments, plugins=[registered])
        if registered.interrupted:
            raise KeyboardInterrupt
        if controller.verdict is None:
            if code == pytest.ExitCode.NO_TESTS_COLLECTED:
                raise MatrixError("no scenario is selected; `parity list` shows what there is")
            reasons = controller.failure or "\n".join(controller.crashes.values()) or said()
            raise MatrixError(f"the matrix could not be run:\n{reasons.strip()}")
    return Run(controller.verdict, tuple(controller.observations), controller.crashes)


def _workers(plan: Plan) -> str:
    """Return what xdist is told: live cells wait for the processes that they ask, mocked ones for nobody."""
    return str(waiting_workers()) if (plan.workers, plan.tier) == ("auto", "live") else plan.workers


class _Registered:
    """Registers our controller in the place where the plugin would register its own."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.interrupted = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # `pytest.exit` comes here too, which is no Ctrl+C.
        self.interrupted = excinfo.errisinstance(KeyboardInterrupt)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(self._controller, "parity-controller")


def _alone() -> contextlib.AbstractContextManager[Any]:
    """Yield with only the plugins that the matrix needs: the surrounding project's may change what is run and
    how.
    """
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")}
    return patch.dict(os.environ, kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, clear=True)


@contextlib.contextmanager
def _quiet() -> Iterator[Callable[[], str]]:
    """Hold back pytest's own report, for the case that there is nothing else to show."""
    # The object and the descriptor: whoever captures may have put another object before the descriptor.
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept, contextlib.redirect_stdout(kept):
        saved = os.dup(1)
        os.dup2(kept.fileno(), 1)

        def said() -> str:
            kept.flush()
            kept.seek(0)
            return kept.read()

        try:
            yield said
        finally:
            kept.flush()
            os.dup2(saved, 1)
            os.close(saved)


def play(catalogue: Catalogue, plan: Plan) -> tuple[Run, dict[str, dict[str, str]]]:
    """Run the plan with progress, and return the versions of what decided it too, by target.

    `catalogue` is what was loaded from the plan's paths.
    """
    loaded = catalogue.for_tier(plan.tier)
    Ledger.load(plan.ledger)  # before anything is recorded
    asked = {name: arm_of(name)[1] for name in plan.arms}
    if plan.tier == "mocked":
        if not all(asked.values()):
            plan = replace(plan, litellm=played_as(plan.litellm))
        for litellm in dict.fromkeys(version or str(plan.litellm) for version in asked.values()):
            record_missing(loaded, litellm, plan.workers)
    elif others := [
        version for version in (plan.litellm, *asked.values()) if version not in (None, installed())
    ]:
        raise MatrixError(
            f"the live tier plays the LiteLLM that is installed, {installed() or 'none'}; "
            f"`parity versions {others[0]}` plays another"
        )
    made_with = {
        name: versions(*DECIDING, recordings=version or plan.litellm if plan.tier == "mocked" else None)
        for name, version in asked.items()
    }
    with progress(f"{plan.tier} tier", len(loaded) * len(plan.arms)) as advance:
        done = run(plan, on_report=lambda cell: advance(f"{cell}"))
    return done, made_with

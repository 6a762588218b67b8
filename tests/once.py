"""Tests are run once: what passed without litellm isn't run again where litellm is, as long as no file has changed.

    tox -e binary   pytest --note-passed FILE     the ids of the tests that passed, and a fingerprint of all files
    tox -e sdk      pytest --passed FILE          leaves these out, if the fingerprint is still the same

A test in a file that asks whether litellm is there is run in both, unless it is marked `once`: its file asks in order
to skip where litellm is missing, and what was skipped hasn't passed.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path

import pytest

from tests.root import ROOT

ASKS = re.compile(r"find_spec|importorskip|\bwhich\(|\b(import|from) litellm\b|\bversions?\(.litellm")
"""How a test asks whether litellm is there, or needs it."""

_COUNTED = ("proxies", "parity", "tests", "docs", "examples")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("once")
    group.addoption("--note-passed", metavar="FILE", help="write the ids of the tests that pass to FILE")
    group.addoption("--passed", metavar="FILE", help="leave out the tests that --note-passed wrote to FILE")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--note-passed") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Notes(Path(config.getoption("--note-passed"))))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (name := config.getoption("--passed")):
        return
    passed = passed_before(Path(name))
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (kept if item.nodeid not in passed or _again(item) else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def passed_before(noted: Path) -> frozenset[str]:
    """The ids of the tests in the file; none if it isn't there, or if any file is another than when it was written."""
    try:
        said = json.loads(noted.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return frozenset()
    return frozenset(said["passed"]) if said["files"] == fingerprint() else frozenset()


def _again(item: pytest.Item) -> bool:
    return asks(item.path) and item.get_closest_marker("once") is None


@cache
def asks(path: Path) -> bool:
    """Whether a file of tests looks for litellm."""
    return ASKS.search(path.read_text(encoding="utf-8")) is not None


def fingerprint() -> str:
    """A hash of every file that a test could depend on, and of its name."""
    total = hashlib.sha256()
    folders = [file for name in _COUNTED for file in (ROOT / name).rglob("*")]
    for file in sorted([*folders, *ROOT.glob("*.*")]):
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".coverage"):
            total.update(f"{file.relative_to(ROOT)}\0".encode())
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


class _Notes:
    """Collects the ids of tests all of whose phases passed, and writes them when the session ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed: set[str] = set()
        self._not: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._not.add(report.nodeid)
        elif report.when == "call":
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        said = {"files": fingerprint(), "passed": sorted(self._passed - self._not)}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(said), encoding="utf-8")
        partial.replace(self._file)

"""Runs the tests and scenarios of some promises in a copy of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.root import ROOT
from tests.test_promises import Promise

COPIED = ("proxies", "parity", "tests", "docs", "pyproject.toml")
DEADLINE = 120
"""Seconds for the tests of one group; it takes a tenth of it."""


@contextmanager
def copy_of_the_project() -> Iterator[Path]:
    """A folder with the packages and tests, which may be changed, and is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        there = Path(folder)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, there / name)
        yield there


def play(promises: Iterable[Promise], root: Path) -> dict[str, str]:
    """By name of a test or scenario what is wrong, or nothing, of those that run without a real LiteLLM.

    Raises `RuntimeError` with the output when there is no outcome at all.
    """
    tests, scenarios, files = set[str](), set[str](), set[str]()
    for promise in promises:
        for name, link in promise.where:
            path = (root / "docs" / link).resolve().relative_to(root.resolve())
            if path.suffix == ".yaml":
                scenarios.add(name)
                files.add(str(path))
            elif path.name.startswith("test_") and "live" not in path.parts:
                tests.add(f"{path}::{name}")
    running = []
    if tests:
        options = (
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:cov",
            "--junitxml=tests.xml",
        )
        running.append(("tests.xml", _start(root, "-m", "pytest", *options, *sorted(tests))))
    if scenarios:
        given = [option for file in sorted(files) for option in ("--scenarios", file)]
        command = (
            "-m",
            "parity.cli",
            "run",
            *given,
            "-k",
            " or ".join(sorted(scenarios)),
            "--report",
            "report",
        )
        running.append(("report/junit.xml", _start(root, *command)))
    found: dict[str, str] = {}
    for report, process in running:
        output, _ = process.communicate(timeout=DEADLINE)
        if not (root / report).is_file():
            raise RuntimeError(f"pytest or parity in {root} wrote no {report}:\n{output}")
        for case in ET.parse(root / report).iter("testcase"):
            name = case.attrib["name"]
            if case.find("skipped") is None and (report == "tests.xml" or name in scenarios):
                about = [child for child in case if child.tag in ("failure", "error")]
                found[name] = about[0].attrib.get("message") or str(about[0].text) if about else ""
        (root / report).unlink()
    return found


def _start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    # What is in the folder goes before what is installed; a recording of one's own must not be in the way.
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PARITY_CACHE"] = str(root / "cache")
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

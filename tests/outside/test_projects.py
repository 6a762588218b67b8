"""Projects outside of this repository, with nothing but the installed package, no settings and no conftest."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.docs.blocks import table

pytestmark = pytest.mark.once  # with litellm, `tox -e outside` runs the same project

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "testing.md"
LITELLM = importlib.util.find_spec("litellm") is not None
OF_OURS = ("PYTEST", "PYTHONPATH", "COV")


def outcomes(project: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Runs `python -m pytest` in a copy of the project: by test what came of it, and what was said about it."""
    there = folder / project
    shutil.copytree(HERE / project, there, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_OURS)}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--junitxml=junit.xml", "-p", "no:cacheprovider"],
        cwd=there,
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    found = {}
    for case in ET.parse(there / "junit.xml").iter("testcase"):
        about = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = "passed" if about is None else about.tag
        found[case.attrib["name"]] = (outcome, "" if about is None else str(about.text))
    return found


def test_ten_tests_pass(tmp_path: Path) -> None:
    """Ten tests, written after the page alone, pass over both proxies in a fresh pytest."""
    found = outcomes("project", tmp_path)
    assert len({name.partition("[")[0] for name in found}) == 10
    for name, (outcome, said) in found.items():
        if LITELLM or not (name.endswith("[sdk]") or "litellm" in name):
            assert outcome == "passed", said
        else:
            assert outcome == "skipped"
            assert "pip install" in said


MISTAKES = {
    node.name: (ast.get_docstring(node) or "").replace("`", "")
    for node in ast.parse((HERE / "mistaken" / "test_mistakes.py").read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef)
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return outcomes("mistaken", tmp_path_factory.mktemp("outside"))


def test_each_mistake_says_its_sentence(mistaken: dict[str, tuple[str, str]]) -> None:
    """Every mistake in the page's table fails its test with the sentence that stands beside it."""
    told = dict(table(PAGE, "mistake"))
    assert set(told) == set(MISTAKES.values())
    for name, mistake in MISTAKES.items():
        outcome, said = mistaken[name]
        assert outcome in ("failure", "error"), name
        rest = " ".join(said.split())
        for part in filter(None, map(str.strip, told[mistake].split("…"))):
            before, found, rest = rest.partition(part)
            assert found, f"{name}: {part!r} isn't in what follows: {before}"

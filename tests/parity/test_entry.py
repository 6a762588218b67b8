"""A light install: the proxies run with little, and what the harness needs is told where it is missing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from parity import entry
from tests.root import ROOT
from tests.test_architecture import TREES, imports, inside

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

WITHOUT = """
import sys

lacking = set(sys.argv.pop(1).split(","))
import importlib.util
known = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in lacking else known(name, package)
"""


def distributions(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", text)[0]) for text in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(package: str, *, at_import_time: bool) -> dict[str, set[str]]:
    """Name the modules that a package of ours imports, and the distributions that bring each.

    A namespace such as `opentelemetry` is brought by several, in an order that is the environment's.
    """
    names = {
        module.partition(".")[0]
        for name, tree in TREES.items()
        if inside(name, package)
        for module in imports(ast.Module([tree], []), set(), at_import_time=at_import_time)
    }
    found = packages_distributions()
    outside = {n for n in names if n not in sys.stdlib_module_names and n not in {"proxies", "parity"}}
    return {name: set(map(normal, found[name])) for name in outside if name in found}


def unasked(modules: dict[str, set[str]], allowed: set[str]) -> set[str]:
    """Name the modules that none of the distributions brings."""
    return {name for name, brought_by in modules.items() if not brought_by & allowed}


BASE = distributions(PROJECT["dependencies"])
EXTRA = {name: distributions(needed) for name, needed in PROJECT["optional-dependencies"].items()}
OF_FASTAPI = {"starlette"}
"""What FastAPI is made of, so that its version is FastAPI's to choose."""


def test_a_proxy_alone_brings_no_test_tools() -> None:
    """None of what only the harness needs is asked for by a plain install."""
    assert not BASE & (EXTRA["parity"] | EXTRA["test"])
    assert not [name for name in BASE if "pytest" in name]


def test_the_proxies_ask_for_what_they_import() -> None:
    """Each distribution that they import is a dependency, or of the extra that brings that feature."""
    allowed = BASE | OF_FASTAPI
    assert not unasked(imported("proxies", at_import_time=True), allowed)
    later = allowed | EXTRA["sdk"] | EXTRA["otel"] | {"aiohttp", "openai", "opentelemetry-api"}
    assert not unasked(imported("proxies", at_import_time=False), later)


def test_the_harness_asks_for_what_it_imports() -> None:
    """Each distribution that it imports is a dependency, of the extra `parity`, or markupsafe, which is jinja2's."""
    allowed = BASE | EXTRA["parity"] | OF_FASTAPI | {"markupsafe", "litellm"}
    assert not unasked(imported("parity", at_import_time=True), allowed)


def test_every_dependency_is_used() -> None:
    """Nothing is asked for that no module imports, but for pytest's plugins and what starlette's TestClient wants."""
    modules = imported("proxies", at_import_time=False) | imported("parity", at_import_time=False)
    used = set().union(*modules.values())
    assert BASE | EXTRA["parity"] <= used | {"pytest-asyncio", "pytest-xdist", "httpx2"}


def test_the_command_says_what_is_missing() -> None:
    """Without the extra, `parity` names the modules and the command that brings them; exit code 2, no traceback."""
    program = WITHOUT + "from parity.entry import main\nmain()\n"
    done = subprocess.run(
        [sys.executable, "-c", program, "jinja2,xdist", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "parity needs jinja2, xdist: pip install 'proxy-parity[parity]'\n"


@pytest.mark.parametrize(("lacking", "brings"), [("jinja2", False), ("nothing", True)])
def test_the_plugin_stays_away_where_it_can_not_work(lacking: str, brings: bool) -> None:
    """A proxy installed beside somebody's tests, without the extra, registers nothing with their pytest."""
    program = (
        WITHOUT
        + "import parity.pytest_entry as e\nprint(hasattr(e, 'pytest_plugins'), 'parity.kit' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, lacking],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.split() == [str(brings), "False"]


def test_every_needed_module_is_of_the_extra() -> None:
    """The list of modules is that of the extra's distributions."""
    found = packages_distributions()
    assert {normal(found[name][0]) for name in entry.NEEDED} == EXTRA["parity"]
    assert entry.missing() == []

"""What the tox environment `binary` leaves to `sdk` has nothing to do with whether litellm is installed."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.once import ASKS
from tests.root import ROOT

pytest_plugins = ["pytester"]

MARK = "pytest.mark." + "live"  # in two parts, or this file would be one of those that have it
BROWSER = "pytest.mark.browser"


def listed(name: str) -> list[str]:
    """Return the words of a list of files and folders in tox.ini."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return tox["collected"][name].split()


def left_out(name: str) -> list[str]:
    """Name the files and folders of a list that pytest doesn't collect."""
    return [line.removeprefix("--ignore=") for line in listed(name)]


IN_SDK_ALONE = sorted({*left_out("not_in_binary")} - {*left_out("not_in_units")})


@pytest.mark.parametrize("name", IN_SDK_ALONE)
def test_what_is_left_out_never_asks_for_litellm(name: str) -> None:
    """No file of it looks for litellm, so that an environment without it can't change what comes out."""
    path: Path = ROOT / name
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files, f"{name} is left out by tox.ini, and isn't there"
    for file in files:
        found = ASKS.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.relative_to(ROOT)} says {found[0]!r}: `tox -e binary` must run it"


def test_a_command_has_one_list() -> None:
    """Of a second one in the same line tox takes each further entry for a command, whose failure would be ignored."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    lines = [line for section in tox.values() for line in section.get("commands", "").splitlines()]
    assert max(line.count("{[collected]") for line in lines) == 1


def test_every_live_test_is_where_live_looks() -> None:
    """Outside of what `live` collects no test is marked so, but for attacks, which have an environment of their own."""
    within = [ROOT / name for name in [*listed("in_live"), "tests/attacks"]]
    assert all(path.exists() for path in within)
    for file in (ROOT / "tests").rglob("test_*.py"):
        if not any(path == file or path in file.parents for path in within):
            assert MARK not in file.read_text(encoding="utf-8"), f"{file}: `tox -e live` doesn't look there"


def test_what_units_leave_out_is_run_elsewhere() -> None:
    """Every test of those folders is marked, by its file or its folder, so that units would leave it out anyway."""
    names = left_out("not_in_units")
    assert names
    assert {*names} < {*left_out("not_in_binary")}
    for folder in (ROOT / name for name in names):
        files = sorted(folder.rglob("test_*.py"))
        assert files, f"{folder} is left out by tox.ini, and holds no tests"
        everywhere = "marked_live(items" in (folder / "conftest.py").read_text(encoding="utf-8")
        for file in files:
            marked = f"pytestmark = {BROWSER}\n" in file.read_text(encoding="utf-8")
            assert everywhere or marked, f"{file}: units leave it out, and no other environment runs it"


def test_tests_of_a_group_share_a_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `live` counts on to start each LiteLLM once: pytest and xdist understand each other about groups."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(
        """
        import os, pytest
        @pytest.mark.parametrize("number", range(8))
        @pytest.mark.xdist_group("one")
        def test_it(number):
            print(os.environ["PYTEST_XDIST_WORKER"])
        """
    )
    ran = pytester.runpytest_inprocess("-p", "xdist.plugin", "-n", "2", "--dist", "loadgroup", "-rP")
    ran.assert_outcomes(passed=8)
    assert len({line for line in ran.outlines if re.fullmatch(r"gw\d", line)}) == 1


def test_the_pattern_finds_those_that_ask() -> None:
    """It recognises the ways in which other tests ask."""
    for name in (
        "tests/parity/test_cli.py",
        "tests/proxies/front/test_steering.py",
        "tests/promises/conftest.py",
    ):
        assert ASKS.search((ROOT / name).read_text(encoding="utf-8"))

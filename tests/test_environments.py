"""What the tox environment `binary` leaves to `sdk` has nothing to do with whether litellm is installed."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.once import ASKS
from tests.root import ROOT


def left_out() -> list[str]:
    """Name the files and folders that `binary` doesn't collect."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    return [line.removeprefix("--ignore=") for line in tox["left_out"]["in_binary"].split()]


@pytest.mark.parametrize("name", left_out())
def test_what_is_left_out_never_asks_for_litellm(name: str) -> None:
    """No file of it looks for litellm, so that an environment without it can't change what comes out."""
    path: Path = ROOT / name
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files, f"{name} is left out by tox.ini, and isn't there"
    for file in files:
        found = ASKS.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.relative_to(ROOT)} says {found[0]!r}: `tox -e binary` must run it"


def test_the_pattern_finds_those_that_ask() -> None:
    """It recognises the ways in which other tests ask."""
    for name in (
        "tests/parity/test_cli.py",
        "tests/proxies/front/test_steering.py",
        "tests/promises/conftest.py",
    ):
        assert ASKS.search((ROOT / name).read_text(encoding="utf-8"))

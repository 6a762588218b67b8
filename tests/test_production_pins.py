"""`production.txt`, what a production installs: `tox -e pins` writes it, and this reads it, without a package index."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.root import ROOT

PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9,-]+\])?==(?P<version>[^ ;]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins() -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes of each package by its name; fails for a line that is anything else."""
    text = (ROOT / "production.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        pinned, *hashes = [part.strip() for part in re.split(r"(?=--hash=)", line)]
        match = PINNED.fullmatch(pinned)
        assert match is not None, line
        assert hashes, line
        assert all(map(HASH.fullmatch, hashes)), line
        found[canonicalize_name(match["name"])] = (match["version"], hashes)
    return found


def test_every_version_is_the_one_that_the_checks_run_with() -> None:
    """Each line is a package of `constraints.txt` in its version, with hashes, and nothing else."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    checked = dict(line.split("==") for line in lines if not line.startswith("#"))
    by_name = {canonicalize_name(name): version for name, version in checked.items()}
    assert {name: version for name, (version, _) in pins().items()}.items() <= by_name.items()


def test_all_that_the_proxies_ask_for_is_there() -> None:
    """Every dependency of the package and of the extras `sdk` and `live` has a line, in a version that fits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    found = pins()
    todo = [*project["dependencies"], *extras["sdk"], *extras["live"]]
    while todo:
        wanted = Requirement(text := todo.pop())
        if wanted.name == project["name"]:  # an extra of its own
            todo += [dependency for extra in wanted.extras for dependency in extras[extra]]
            continue
        assert wanted.specifier.contains(found[canonicalize_name(wanted.name)][0]), text


def test_no_index_is_named() -> None:
    """Where packages come from is for those to say who install them."""
    text = (ROOT / "production.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text

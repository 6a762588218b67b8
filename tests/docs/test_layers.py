"""The lists of layers in ARCHITECTURE.md are those of the code."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import blocks
from tests.root import ROOT
from tests.test_architecture import SOURCES, arrows, inside

PAGE = ROOT / "ARCHITECTURE.md"


def layers(package: str) -> list[list[str]]:
    """The list of a package as modules and packages, the highest layer first."""
    (text,) = (block.text for block in blocks(PAGE, "text") if block.text.startswith(f"{package}/\n"))
    lines = [re.split(r" {3,}", line.strip())[0] for line in text.splitlines()[1:]]
    return [
        [f"{package}." + part.removesuffix(".py").rstrip("/").replace("/", ".") for part in line.split()]
        for line in lines
    ]


def place(module: str, order: list[list[str]]) -> int | None:
    """The line in which a module stands: that of the longest name that it is inside of."""
    found = [(len(part), -index) for index, line in enumerate(order) for part in line if inside(module, part)]
    return -max(found)[1] if found else None


@pytest.mark.parametrize("package", ["proxies", "parity"])
def test_every_module_has_a_place(package: str) -> None:
    """No module is missing from the list, and no line of it names what isn't there."""
    order = layers(package)
    modules = {name for name in SOURCES if inside(name, package)} - {package}
    assert {name for name in modules if place(name, order) is None} == set()
    assert {part for line in order for part in line} <= set(SOURCES)


@pytest.mark.parametrize("package", ["proxies", "parity"])
def test_a_line_uses_only_lines_below(package: str) -> None:
    """Arrows point down, also those in functions and those for types."""
    order = layers(package)
    up = []
    for name in SOURCES:
        if (here := place(name, order)) is None:
            continue
        for used in arrows(name):
            there = place(used, order)
            same_part = any(inside(name, part) and inside(used, part) for part in order[here])
            if there is not None and (there < here or (there == here and not same_part)):
                up.append(f"{name} -> {used}")
    assert up == []


def test_the_checks_see_an_arrow_that_is_turned_round() -> None:
    """A module's line is that of its own folder, not of the folder around it."""
    order = [["proxies.front"], ["proxies.front.observing"], ["proxies.memory", "proxies.headers"]]
    assert place("proxies.front.app", order) == 0
    assert place("proxies.front.observing.logs", order) == 1
    assert place("proxies.headers", order) == 2
    assert place("proxies.frontier", order) is None

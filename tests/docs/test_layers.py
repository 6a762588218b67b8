"""The lists of layers in ARCHITECTURE.md are those that tests/test_architecture.py proves."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import blocks
from tests.root import ROOT
from tests.test_architecture import ORDER

PAGE = ROOT / "ARCHITECTURE.md"


def layers(package: str) -> list[set[str]]:
    """The parts in each line of a package's list, the highest line first."""
    (text,) = (block.text for block in blocks(PAGE, "text") if block.text.startswith(f"{package}/\n"))
    named = [re.split(r" {3,}", line.strip())[0].split() for line in text.splitlines()[1:]]
    return [{part.removesuffix(".py").removesuffix("/") for part in line} for line in named]


@pytest.mark.parametrize("package", ORDER)
def test_the_page_shows_the_order_of_the_code(package: str) -> None:
    """Whoever reads the page knows what each part may use."""
    assert layers(package) == list(ORDER[package])

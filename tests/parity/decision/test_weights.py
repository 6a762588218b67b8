"""The file of weights: exact numbers, and mistakes by line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from parity.decision.factors import KINDS
from parity.decision.weights import SHIPPED, WeightsError, load


def test_the_shipped_weights_name_every_factor() -> None:
    """Whoever copies the file sees all that can be weighed."""
    assert all(weight > 0 for weight in load(SHIPPED, KINDS).values())


def test_numbers_are_what_is_written(tmp_path: Path) -> None:
    """0.1 is a tenth, and what is left out weighs nothing."""
    file = tmp_path / "weights.yaml"
    file.write_text("memory: 0.1\nfaults: 3\n")
    found = load(file, KINDS)
    assert (found["memory"], found["faults"], found["cpu"]) == (Fraction(1, 10), 3, 0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("memory: 1\nmemroy: 2\n", "weights.yaml:2: memroy: no such factor; did you mean 'memory'?"),
        ("memory: -1\n", "weights.yaml:1: memory: a weight is a number from 0 up, not -1"),
        ("memory: much\n", "weights.yaml:1: memory: a weight is a number"),
        ("memory: true\n", "weights.yaml:1: memory: a weight is a number"),
        ("memory: .inf\n", "weights.yaml:1: memory: a weight is a number"),
        ("memory: 0\n", "weights.yaml:1: every weight is 0"),
        ("- memory\n", "weights.yaml:1: weights are a mapping"),
        ("a: [\n", "weights.yaml"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """Nothing is decided by weights that nobody meant."""
    file = tmp_path / "weights.yaml"
    file.write_text(text)
    with pytest.raises(WeightsError) as caught:
        load(file, KINDS)
    assert problem in str(caught.value)

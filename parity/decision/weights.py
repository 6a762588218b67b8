"""Reads the weights, exactly as they are written: a number is a decimal fraction, and no float."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

from proxies.support import yamlfile

SHIPPED = Path(__file__).with_name("weights.yaml")


class WeightsError(Exception):
    """Reports that weights can't be used; each line names file and line."""


def load(path: Path, known: Collection[str]) -> dict[str, Fraction]:
    """Read a file of weights. Raises `WeightsError`. A factor that it leaves out weighs nothing."""
    try:
        file = yamlfile.load(path)
    except yamlfile.YamlError as error:
        raise WeightsError(str(error)) from None
    if not isinstance(file.data, dict):
        raise WeightsError(f"{path}:1: weights are a mapping of factors to numbers, such as behaviour: 10")
    problems = []
    found = dict.fromkeys(known, Fraction(0))
    for name, value in file.data.items():
        where = f"{path}:{file.line_of([name])}: {name}"
        if name not in known:
            problems.append(
                f"{where}: no such factor; {yamlfile.did_you_mean(str(name), known) or 'remove it'}"
            )
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            problems.append(f"{where}: a weight is a number from 0 up, not {value!r}")
        else:
            found[name] = Fraction(str(value))
    if not problems and not any(found.values()):
        problems = [f"{path}:1: every weight is 0; give one of them a number"]
    if problems:
        raise WeightsError("\n".join(problems))
    return found

"""Reads who asks for each clause of the contract, and where: `parity/clauses.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from proxies.support import yamlfile

FILE = Path(__file__).parents[1] / "clauses.yaml"
Level = Literal["api", "careful", "own"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Clause:
    """Holds a clause's id, its level, and the source that demands it."""

    id: str
    level: Level
    source: str


@cache
def clauses() -> dict[str, Clause]:
    """Return every clause by its id, in the order of the file."""
    found: dict[str, Clause] = {}
    for group in yamlfile.load(FILE).data:
        for name in group["clauses"]:
            if name in found:
                raise ValueError(f"{FILE.name}: {name} has two levels")
            found[name] = Clause(name, group["level"], group["source"])
    return found

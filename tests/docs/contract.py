"""Reads the clauses of docs/contract.md, once for all tests."""

from __future__ import annotations

import re

from tests.root import ROOT

_CLAUSE = re.compile(r"^(?:- |\| )\*\*`([a-z0-9.-]+)`\*\*", re.MULTILINE)


def clauses() -> list[str]:
    """The ids of all clauses, in the order of the page."""
    return _CLAUSE.findall((ROOT / "docs" / "contract.md").read_text(encoding="utf-8"))

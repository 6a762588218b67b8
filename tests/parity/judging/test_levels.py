from __future__ import annotations

import pytest

from parity.judging import levels
from parity.judging.levels import LEVELS, clauses
from tests.docs.contract import clauses as written


def test_every_clause_has_a_level_and_a_source() -> None:
    """Each of docs/contract.md, and no other; only this project's own need no source elsewhere."""
    assert set(clauses()) == set(written())
    assert {clause.level for clause in clauses().values()} == set(LEVELS)
    assert all(clause.source for clause in clauses().values())
    assert all((c.level == "own") == (c.source == "this project") for c in clauses().values())


def test_a_clause_has_one_level(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stands twice is a mistake of the file."""
    file = levels.Path(str(tmp_path)) / "clauses.yaml"
    file.write_text("- {level: api, source: a, clauses: [x.y]}\n- {level: own, source: b, clauses: [x.y]}\n")
    monkeypatch.setattr(levels, "FILE", file)
    with pytest.raises(ValueError, match=r"x\.y has two levels"):
        clauses.__wrapped__()

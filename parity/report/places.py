"""Joins differences and violations path by path: what each target shows there, and who is right.

The verdict keeps differences (target against target) and violations (target against contract) apart. A reader wants
them together: at one path, the value of each target, the one that the contract wants, and the ledger's word on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from parity.judging.jsondiff import same
from parity.judging.majority import related
from parity.judging.verdict import Entry, ScenarioVerdict

State = Literal["unexplained", "broken", "explained", "excused"]


@dataclass(frozen=True)
class Place:
    """Holds one path of one scenario.

    `kind` is the difference's, or `contract` where the targets agree or weren't compared. `values` has the targets
    whose value is known; `expected` is None where no expectation stands at this very path, else a tuple of one.
    """

    scenario: str
    path: str
    kind: str
    values: dict[str, Any]
    expected: tuple[Any] | None
    clauses: tuple[str, ...]
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    differs: bool
    entries: tuple[Entry, ...]
    unlisted: bool
    tier: str = ""

    @property
    def state(self) -> State:
        if self.unlisted:
            return "unexplained" if self.differs else "broken"
        return "explained" if self.differs else "excused"

    @property
    def winner(self) -> str:
        """Name who keeps the contract here: targets, `neither`, or `either` where nothing expected decides."""
        if not self.wrong:
            return "either"
        return ", ".join(self.right) or "neither"


class _Draft:
    def __init__(self, path: str) -> None:
        self.path = path
        self.kind = "contract"
        self.values: dict[str, Any] = {}
        self.expected: tuple[Any] | None = None
        self.common: tuple[Any] | None = None
        """The value of those targets that don't differ."""
        self.clauses: tuple[str, ...] = ()
        self.differs = False
        self.entries: list[Entry] = []
        self.unlisted = False

    def listed(self, entry: Entry | None) -> None:
        if entry is None:
            self.unlisted = True
        elif entry not in self.entries:
            self.entries.append(entry)

    def takes(self, target: str, expected: Any, actual: Any) -> bool:
        """Return whether a violation at this path is about the same values; two violations can share one
        path.
        """
        return same(self.values.get(target, actual), actual) and (
            self.expected is None or same(self.expected[0], expected)
        )


def places(scenario: ScenarioVerdict) -> list[Place]:
    """Return every path that differs or breaks the contract: differences in their order, then other
    violations.
    """
    drafts: list[_Draft] = []
    for difference in scenario.differences:
        draft = next((d for d in drafts if d.path == difference.path), None)
        if draft is None:
            drafts.append(draft := _Draft(difference.path))
        draft.kind, draft.differs = difference.kind, True
        draft.values |= {difference.left_target: difference.left, difference.right_target: difference.right}
        draft.common = (difference.left,)
        draft.listed(difference.explained_by)
    for target, cell in scenario.cells.items():
        for found in cell.violations:
            draft = next(
                (d for d in drafts if d.path == found.path and d.takes(target, found.expected, found.actual)),
                None,
            )
            if draft is None:
                drafts.append(draft := _Draft(found.path))
            draft.values.setdefault(target, found.actual)
            draft.expected = (found.expected,)
            draft.clauses = found.clauses
            draft.listed(found.excused_by)
    return [_place(scenario, draft) for draft in drafts]


def _place(scenario: ScenarioVerdict, draft: _Draft) -> Place:
    reported = [target for target, cell in scenario.cells.items() if cell.contract != "missing"]
    if draft.common is not None:
        voiceless = {d.right_target for d in scenario.differences if related(d.path, draft.path)}
        agreeing = [t for t in reported if t not in draft.values and t not in voiceless]
        draft.values |= dict.fromkeys(agreeing, draft.common[0])
    wrong = [
        target
        for target in reported
        if any(violation.path == draft.path for violation in scenario.cells[target].violations)
    ]
    return Place(
        scenario=scenario.id,
        path=draft.path,
        kind=draft.kind,
        values={target: draft.values[target] for target in reported if target in draft.values},
        expected=draft.expected,
        clauses=draft.clauses,
        wrong=tuple(wrong),
        right=tuple(target for target in reported if target not in wrong),
        differs=draft.differs,
        entries=tuple(draft.entries),
        unlisted=draft.unlisted,
    )

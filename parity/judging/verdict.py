"""Judges a matrix: every cell against the contract, every scenario's targets against each other.

planned cells, observations ──account──> missing, unplanned, doubled
observation, scenario       ──contract─> violations ─┐
observation, observation    ──diff─────> differences ┴─ledger──> explained, or not; entries gone stale, or expired
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

from pydantic import Field, computed_field

from parity.catalogue.scenario import Scenario, Tier
from parity.judging.contract import Violation, contract
from parity.judging.diff import Difference, diff
from parity.judging.jsondiff import ABSENT
from parity.judging.jsonpath import from_path
from parity.judging.ledger import Divergence, Ledger, Shortfall, Subject
from parity.judging.majority import Pair, by_majority
from parity.judging.normalise import RULES, Normalised, normalise
from parity.observation.model import Observation, clients_side
from parity.support.frozen import Frozen

Entry = Divergence | Shortfall
Parity = Literal["identical", "explained", "unexplained"]


class Cell(Frozen):
    """Holds one cell: a scenario on a target."""

    scenario: str
    target: str

    def __str__(self) -> str:
        return f"{self.scenario} on {self.target}"


class JudgedViolation(Violation):
    excused_by: Entry | None = None


class JudgedDifference(Difference):
    left_target: str
    right_target: str
    explained_by: Divergence | None = None


class CellVerdict(Frozen):
    """Holds one cell's verdict by the contract.

    `missing`: planned, but not reported. `unjudged`: the target is in `outside`, see `judge`.
    """

    contract: Literal["met", "excused", "broken", "missing", "unjudged"]
    violations: tuple[JudgedViolation, ...] = ()


class ScenarioVerdict(Frozen):
    """Holds one scenario's verdict over all targets.

    `parity` is null when there were no two observations to compare.
    """

    id: str
    title: str
    clauses: tuple[str, ...]
    cells: dict[str, CellVerdict]
    parity: Parity | None
    differences: tuple[JudgedDifference, ...] = ()

    @property
    def theme(self) -> str:
        return self.id.partition(".")[0]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def parity_by_target(self) -> dict[str, Parity]:
        """Return how each reported target compares with the one that it is compared with; empty for a single one."""
        reported = [target for target, cell in self.cells.items() if cell.contract != "missing"]
        return {target: _parity(self._of(target)) for target in reported if self.parity is not None}

    def _of(self, target: str) -> list[JudgedDifference]:
        return [difference for difference in self.differences if difference.right_target == target]

    @property
    def ok(self) -> bool:
        cells_ok = all(cell.contract in ("met", "excused", "unjudged") for cell in self.cells.values())
        return cells_ok and self.parity != "unexplained"


class Verdict(Frozen):
    """Holds the verdict on a run of the matrix. Nothing in it depends on time, order or machine, but for `expired`."""

    tier: Tier
    targets: tuple[str, ...]
    planned: int
    reported: int
    missing: tuple[Cell, ...] = ()
    unplanned: tuple[Cell, ...] = ()
    doubled: tuple[Cell, ...] = ()
    problems: tuple[str, ...] = ()
    scenarios: tuple[ScenarioVerdict, ...] = ()
    stale: tuple[Entry, ...] = ()
    expired: tuple[Entry, ...] = ()
    """The entries that were used in this run, and whose last day is over."""
    ledger_entries: int = 0
    """How many entries of the ledger explained or excused something in this run."""
    masked: dict[str, int] = Field(default_factory=dict)
    majority: bool = False
    """Whether the targets are compared with what most of them show, and not with the first."""
    shapes_only: bool = False
    """Whether the values were reduced to their kinds before, see `parity.observation.shape`."""

    @property
    def complete(self) -> bool:
        """Return whether something was planned, and exactly the planned cells were reported, once each."""
        return self.planned > 0 and not (self.missing or self.unplanned or self.doubled or self.problems)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> Literal[0, 1, 2]:
        """Return 0: nothing unexplained; 1: a difference, a violation, a stale or an expired entry; 2: the run is
        incomplete.
        """
        if not self.complete:
            return 2
        gone = self.stale or self.expired
        return 0 if not gone and all(scenario.ok for scenario in self.scenarios) else 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def line(self) -> str:
        """Return the whole verdict in one line."""
        parity = Counter(scenario.parity for scenario in self.scenarios)
        cells = Counter(cell.contract for s in self.scenarios for cell in s.cells.values())
        entries = f"{self.ledger_entries} {'entry' if self.ledger_entries == 1 else 'entries'}"
        sign = "≠" if self.missing or self.unplanned or self.doubled else "="
        parts = [
            f"cells {self.planned} planned {sign} {self.reported} reported{self._unaccounted}",
            f"scenarios {len(self.scenarios)}",
            f"identical {parity['identical']}",
            f"explained {parity['explained']} ({entries} of the ledger)",
            f"unexplained {parity['unexplained']}",
            *([f"not compared {parity[None]}"] if parity[None] else []),
            f"contract broken {cells['broken']} unexcused, {cells['excused']} excused",
            *([f"not judged {cells['unjudged']}"] if cells["unjudged"] else []),
            *([f"stale {len(self.stale)}"] if self.stale else []),
            *([f"expired {len(self.expired)}"] if self.expired else []),
            "masked " + ", ".join(f"{rule} {count}" for rule, count in self.masked.items()),
        ]
        word = {0: "PASS", 1: "FAIL", 2: "INCOMPLETE"}[self.exit_code]
        shapes = ", shapes only" if self.shapes_only else ""
        most = ", by majority" if self.majority else ""
        return f"{word} {self.tier}{shapes}{most} {' | '.join(self.targets)}: {' · '.join(parts)}"

    @property
    def _unaccounted(self) -> str:
        kinds = (("missing", self.missing), ("unplanned", self.unplanned), ("doubled", self.doubled))
        said = [f"{name} {len(cells)}" for name, cells in kinds if cells]
        if self.problems:
            said.append(f"problems {len(self.problems)}")
        return f" ({', '.join(said)})" if said else ""


def judge(
    planned: Iterable[Cell | tuple[str, str]],
    observations: Iterable[Observation],
    scenarios: Iterable[Scenario],
    ledger: Ledger,
    tier: Tier,
    targets: Sequence[str] | None = None,
    problems: Iterable[str] = (),
    outside: Collection[str] = (),
    shapes_only: bool = False,
    subjects: Mapping[str, Subject] | None = None,
    today: date | None = None,
    majority: bool = False,
) -> Verdict:
    """Judge the cells of `planned` (scenario id, target) by the observations that were made of them.

    `scenarios` is the whole catalogue: a ledger entry on a template is stale only when all its cases were played.
    `targets` gives the order (default: the plan's); the first is compared with each of the others, or, with `majority`,
    what most of them show at a place with what differs there. `problems` are failures of the harness; any one makes the
    run incomplete. Targets in `outside` were observed by URL: only what their clients saw is compared, and the contract
    isn't applied, since the scenario's provider isn't behind them. `shapes_only` is copied into the verdict and changes
    nothing else. `subjects` says what targets are that don't go by the name of their architecture, and on which LiteLLM
    they run: the ledger goes by that. An entry that was used and has expired by `today` fails the run; without a day
    none has. Raises `ValueError` for a planned scenario that isn't in the catalogue, and for a planned target that
    isn't in `targets`.
    """
    cells = dict.fromkeys(c if isinstance(c, Cell) else Cell(scenario=c[0], target=c[1]) for c in planned)
    order = tuple(targets if targets is not None else dict.fromkeys(cell.target for cell in cells))
    catalogue = {scenario.id: scenario for scenario in scenarios}
    if unknown := sorted({cell.scenario for cell in cells} - set(catalogue)):
        raise ValueError(f"planned, but in no scenario file: {', '.join(unknown)}")
    if unknown := sorted({cell.target for cell in cells} - set(order)):
        raise ValueError(f"planned, but not among the targets: {', '.join(unknown)}")

    seen = [(Cell(scenario=o.scenario, target=o.target), o) for o in observations]
    reports = Counter(cell for cell, _ in seen)
    # An observation of the other tier is no report for this plan, whatever cell it names.
    strange = {cell for cell, o in seen if cell not in cells or o.tier != tier}
    first: dict[Cell, _Seen] = {}
    for cell, observation in seen:
        if cell not in strange and cell not in first:
            first[cell] = _Seen(observation, normalise(observation))

    about = {target: (subjects or {}).get(target) or Subject(target) for target in order}
    used: set[int] = set()  # id() of ledger entries: they hold lists, so they have no hash
    verdicts = []
    for scenario_id in sorted({cell.scenario for cell in cells}):
        by_target = {
            t: first.get(cell) for t in order if (cell := Cell(scenario=scenario_id, target=t)) in cells
        }
        verdicts.append(
            _scenario(catalogue[scenario_id], tier, by_target, ledger, used, outside, about, majority)
        )
    judged = {cell for cell in first if cell.target not in outside}
    return Verdict(
        tier=tier,
        targets=order,
        planned=len(cells),
        reported=len(seen),
        missing=_sorted(set(cells) - set(first)),
        unplanned=_sorted(strange),
        doubled=_sorted(cell for cell, times in reports.items() if times > 1),
        problems=tuple(sorted(problems)),
        scenarios=tuple(verdicts),
        stale=_stale(ledger, used, catalogue, judged, about, tier),
        expired=tuple(e for e in ledger.entries if id(e) in used and today is not None and e.expired(today)),
        ledger_entries=len(used),
        majority=majority,
        shapes_only=shapes_only,
        masked={rule.name: sum(n.masked[rule.name] for _, n in first.values()) for rule in RULES},
    )


class _Seen(NamedTuple):
    raw: Observation
    normalised: Normalised


def _scenario(
    scenario: Scenario,
    tier: Tier,
    cells: Mapping[str, _Seen | None],
    ledger: Ledger,
    used: set[int],
    outside: Collection[str],
    subjects: Mapping[str, Subject],
    majority: bool,
) -> ScenarioVerdict:
    seen = {target: cell for target, cell in cells.items() if cell is not None}
    differences: list[JudgedDifference] = []
    for left, right, found in _differences(seen, outside, majority):
        entry = ledger.explain(found, scenario.id, tier, subjects[left], subjects[right])
        if entry is not None:
            used.add(id(entry))
        differences.append(
            JudgedDifference(**dict(found), left_target=left, right_target=right, explained_by=entry)
        )
    broken = {
        target: [] if target in outside else contract(cell.raw, scenario) for target, cell in seen.items()
    }
    verdicts = {target: CellVerdict(contract="missing") for target in cells}
    for target in seen:
        judged: list[JudgedViolation] = []
        for violation in broken[target]:
            excuse = (
                ledger.excuse(violation, scenario.id, tier, subjects[target])
                or _lesser_side(violation, target, differences, broken)
                or _listed_side(violation, seen[target], subjects[target], ledger, subjects.values())
            )
            if excuse is not None:
                used.add(id(excuse))
            judged.append(JudgedViolation(**dict(violation), excused_by=excuse))
        state: Any = "broken" if any(v.excused_by is None for v in judged) else "excused" if judged else "met"
        if target in outside:
            state = "unjudged"
        verdicts[target] = CellVerdict(contract=state, violations=tuple(judged))
    return ScenarioVerdict(
        id=scenario.id,
        title=scenario.title,
        clauses=tuple(scenario.clauses),
        cells=verdicts,
        parity=_parity(differences) if len(seen) > 1 else None,
        differences=tuple(differences),
    )


def _differences(seen: Mapping[str, _Seen], outside: Collection[str], majority: bool) -> list[Pair]:
    """Compare the first target with each of the others; of those in `outside` what their clients saw."""
    base, *others = seen or [""]
    pairs = []
    for other in others:
        sides = [seen[target].normalised.observation for target in (base, other)]
        if base in outside or other in outside:
            sides = [clients_side(side) for side in sides]
        pairs += [Pair(base, other, found) for found in diff(*sides)]
    return by_majority(list(seen), pairs) if majority and others else pairs


def _parity(differences: Sequence[JudgedDifference]) -> Parity:
    if any(difference.explained_by is None for difference in differences):
        return "unexplained"
    return "explained" if differences else "identical"


def _lesser_side(
    violation: Violation,
    target: str,
    differences: Iterable[JudgedDifference],
    broken: Mapping[str, list[Violation]],
) -> Divergence | None:
    """Return the divergence at exactly this path, if the target on its other side keeps the contract there."""
    for difference in differences:
        sides = (difference.left_target, difference.right_target)
        if difference.explained_by is None or difference.path != violation.path or target not in sides:
            continue
        other = sides[1] if target == sides[0] else sides[0]
        if all(v.path != violation.path for v in broken[other]):
            return difference.explained_by
    return None


def _listed_side(
    violation: Violation, seen: _Seen, subject: Subject, ledger: Ledger, compared: Iterable[Subject]
) -> Divergence | None:
    """Return the divergence that lists what this target shows at exactly this path, where the other architecture isn't
    compared: then nothing here says that it keeps the contract, but the entry does.
    """
    observation = seen.normalised.observation
    architectures = {other.architecture for other in compared}
    for entry in ledger.entries:
        if not isinstance(entry, Divergence) or not entry.covers(observation.scenario, observation.tier):
            continue
        if set(entry.values) <= architectures:
            continue
        if entry.lists(violation.path, subject, _shown(observation, violation.path)):
            return entry
    return None


def _shown(observation: Observation, path: str) -> Any:
    """Return what stands at a path, as `diff` would list it."""
    value: Any = observation.model_dump()
    *_, last = parts = from_path(path)
    for part in parts:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return ABSENT if value is None and last in ("json_body", "text", "stream") else value


def _stale(
    ledger: Ledger,
    used: set[int],
    catalogue: Mapping[str, Scenario],
    ran: set[Cell],
    subjects: Mapping[str, Subject],
    tier: Tier,
) -> tuple[Entry, ...]:
    """Return the entries that no longer occur.

    Only those are judged whose cases all ran, on both architectures, with versions of LiteLLM that they are about.
    """
    stale: list[Entry] = []
    for entry in ledger.entries:
        about = {target: s for target, s in subjects.items() if entry.holds(s.litellm)}
        if isinstance(entry, Divergence):
            about = {target: s for target, s in about.items() if s.architecture in entry.values}
        if len({subject.architecture for subject in about.values()}) < 2:
            continue
        cases = [s.id for s in catalogue.values() if tier in s.tiers and entry.covers(s.id, tier)]
        whole = all(Cell(scenario=c, target=t) in ran for c in cases for t in about)
        if cases and whole and id(entry) not in used:
            stale.append(entry)
    return tuple(stale)


def _sorted(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(sorted(cells, key=lambda cell: (cell.scenario, cell.target)))

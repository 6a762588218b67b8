"""Turns verdicts on gateways into a verdict on a matrix, so that every format of the report can show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from parity.catalogue.scenario import Scenario
from parity.gateways.judging import GatewayVerdict
from parity.judging.verdict import CellVerdict, JudgedViolation, ScenarioVerdict, Verdict


def as_verdict(verdicts: Sequence[GatewayVerdict], scenarios: Iterable[Scenario]) -> Verdict:
    """Return one verdict whose targets are the gateways: a cell for each scenario that applies, none of them compared.

    A scenario that applies to none of them is left out.
    """
    judged = []
    for scenario in sorted(scenarios, key=lambda scenario: scenario.id):
        cells = {v.name: _cell(v, scenario.id) for v in verdicts if scenario.id in v.looked_at}
        if cells:
            looked_at = {clause for v in verdicts for clause in v.looked_at.get(scenario.id, ())}
            judged.append(
                ScenarioVerdict(
                    id=scenario.id,
                    title=scenario.title,
                    clauses=tuple(sorted(looked_at)),
                    cells=cells,
                    parity=None,
                )
            )
    cells_of_all = sum(len(scenario.cells) for scenario in judged)
    return Verdict(
        tier="live",
        targets=tuple(verdict.name for verdict in verdicts),
        planned=cells_of_all,
        reported=cells_of_all,
        scenarios=tuple(judged),
    )


def _cell(verdict: GatewayVerdict, scenario: str) -> CellVerdict:
    broken = tuple(
        JudgedViolation(**{**dict(violation), "clauses": (name,)})
        for name, clause in verdict.clauses.items()
        for violation in clause.broken.get(scenario, ())
    )
    return CellVerdict(contract="broken" if broken else "met", violations=broken)

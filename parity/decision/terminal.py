"""Writes a decision for a terminal: a table of the factors, then the sentence."""

from __future__ import annotations

from parity.decision.deciding import number
from parity.decision.model import ARMS, Decision, Weighed


def lines(decision: Decision) -> list[str]:
    """Return the table, then the totals, then the sentence as the last line."""
    head = ["factor", "weight", *ARMS, "", "turns at"]
    rows = [head, *(_row(weighed) for weighed in decision.factors)]
    totals = [f"{100 * decision.totals[arm]:.1f} of 100" for arm in ARMS]
    rows.append(["all, weighed", "", *totals, "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    table = [
        "  ".join(
            cell.ljust(width) if column in (0, 4) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*table, "", decision.sentence]


def _row(weighed: Weighed) -> list[str]:
    factor = weighed.factor
    values = factor.values
    shown = [number(values[arm]) for arm in ARMS] if values else ["not measured", ""]
    turns = f"{weighed.direction} {number(weighed.flip)}" if weighed.flip is not None else "–"
    return [factor.title, number(weighed.weight), *shown, factor.unit, turns]

"""Holds the report's data: a verdict, and what it is a verdict on. Every format is a function of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from parity.catalogue.scenario import Scenario, Tier
from parity.judging.jsondiff import ABSENT
from parity.judging.jsonpath import from_path
from parity.judging.ledger import Divergence, Ledger, Shortfall
from parity.judging.normalise import RULES
from parity.judging.verdict import JudgedDifference, JudgedViolation, Verdict
from parity.report.evidence import Evidence
from parity.support.frozen import Frozen
from proxies.support.redact import redact_json, redact_text

FORMAT: Literal[2] = 2
"""The version of the format: 2 has `evidence` and `unseen`."""


class RuleUse(Frozen):
    """Holds a normaliser rule, and how many values it masked in this run."""

    name: str
    description: str
    masked: int


class Unseen(Frozen):
    """Holds what a run of this tier can't see of one clause, and the other tier can."""

    clause: str
    scenarios: tuple[str, ...] = Field(description="templates or scenarios that only the other tier plays")
    entries: int = Field(description="differences that the ledger knows of in the other tier alone")


class Report(Frozen):
    """Holds what is published of one run. No time, no machine: two equal runs make equal reports, but for the
    originals of what was masked.
    """

    parity_report: Literal[2] = FORMAT
    catalogue: str = Field(description="sha256 over the scenarios that were planned")
    versions: dict[str, dict[str, str]] = Field(description="of the packages that matter, by target")
    rules: tuple[RuleUse, ...]
    verdict: Verdict
    unseen: tuple[Unseen, ...] = ()
    evidence: dict[str, Evidence] = Field(default_factory=dict, description="by scenario")


def build(
    verdict: Verdict,
    *,
    catalogue: str,
    versions: Mapping[str, Mapping[str, str]],
    evidence: Mapping[str, Evidence] | None = None,
    unseen: Iterable[Unseen] = (),
) -> Report:
    """Build the report on `verdict`, every secret masked, so that the formats need not mask anything.

    `evidence` comes from `parity.report.evidence.collect`, which masks.
    """
    return Report(
        evidence=dict(evidence or {}),
        unseen=tuple(unseen),
        catalogue=catalogue,
        versions={target: dict(sorted(found.items())) for target, found in sorted(versions.items())},
        rules=tuple(
            RuleUse(name=r.name, description=r.description, masked=verdict.masked.get(r.name, 0))
            for r in RULES
        ),
        verdict=_redacted(verdict),
    )


def unseen_in(tier: Tier, scenarios: Iterable[Scenario], ledger: Ledger) -> list[Unseen]:
    """Return, clause by clause, what only another tier shows: its own scenarios, its own entries of the ledger."""
    played: dict[str, set[str]] = {}
    entries: Counter[str] = Counter(e.clause for e in ledger.entries if tier not in e.tiers)
    for scenario in scenarios:
        for clause in scenario.clauses if tier not in scenario.tiers else ():
            played.setdefault(clause, set()).add(scenario.template)
    return [
        Unseen(clause=clause, scenarios=tuple(sorted(played.get(clause, ()))), entries=entries[clause])
        for clause in sorted({*played, *entries})
    ]


def report_schema() -> dict[str, Any]:
    """Return the JSON schema of the JSON report."""
    schema = Report.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Parity report"}


def _redacted(verdict: Verdict) -> Verdict:
    return verdict.model_copy(
        update={
            "problems": tuple(redact_text(problem) for problem in verdict.problems),
            "stale": tuple(_entry(entry) for entry in verdict.stale),
            "expired": tuple(_entry(entry) for entry in verdict.expired),
            "scenarios": tuple(
                scenario.model_copy(
                    update={
                        "differences": tuple(_difference(d) for d in scenario.differences),
                        "cells": {
                            target: cell.model_copy(
                                update={"violations": tuple(_violation(v) for v in cell.violations)}
                            )
                            for target, cell in scenario.cells.items()
                        },
                    }
                )
                for scenario in verdict.scenarios
            ),
        }
    )


def _difference(found: JudgedDifference) -> JudgedDifference:
    left, right = _values(found.path, found.left, found.right)
    return found.model_copy(
        update={
            "path": redact_text(found.path),
            "left": left,
            "right": right,
            "explained_by": found.explained_by and _entry(found.explained_by),
        }
    )


def _violation(found: JudgedViolation) -> JudgedViolation:
    expected, actual = _values(found.path, found.expected, found.actual)
    return found.model_copy(
        update={
            "path": redact_text(found.path),
            "expected": expected,
            "actual": actual,
            "excused_by": found.excused_by and _entry(found.excused_by),
        }
    )


def _entry(entry: Divergence | Shortfall) -> Divergence | Shortfall:
    update: dict[str, Any] = {
        name: redact_text(getattr(entry, name)) for name in ("path", "why", "notices", "probe")
    }
    if isinstance(entry, Divergence):
        update["values"] = dict(zip(entry.values, _values(entry.path, *entry.values.values()), strict=True))
    else:
        update["expected"], update["observed"] = _values(entry.path, entry.expected, entry.observed)
    return entry.model_copy(update=update)


def _values(path: str, *values: Any) -> Sequence[Any]:
    """Return the values at `path`, secrets masked by the name of their key as well as by their look."""
    names = [part for part in from_path(path) if isinstance(part, str)]
    return [value if value is ABSENT else _under(names, value) for value in values]


def _under(names: list[str], value: Any) -> Any:
    # Under every name on the way, so that a leaf below `cookies` is masked like the whole.
    for name in reversed(names):
        value = {name: value}
    masked = redact_json(value)
    for _ in names:
        masked = next(iter(masked.values()))
    return masked

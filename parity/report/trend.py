"""Tells what changed between reports, from the oldest to the newest: verdicts, scenarios, causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from parity.judging.verdict import ScenarioVerdict
from parity.report.findings import known
from parity.report.places import Place, places
from parity.report.schema import Report

MOST = 20  # scenarios of one kind of change that are named


def trend(named: Sequence[tuple[str, Report]]) -> str:
    """Return the text: each report's line, then what each step changed. Two at least."""
    lines = [f"{name}: {report.verdict.line}" for name, report in named]
    for (old_name, old), (new_name, new) in pairwise(named):
        lines += ["", f"{old_name} → {new_name}"]
        lines += [f"  {line}" for line in _changes(old, new)] or ["  nothing changed"]
    return "\n".join(lines)


def _changes(old: Report, new: Report) -> Iterator[str]:
    if old.verdict.tier != new.verdict.tier or old.verdict.targets != new.verdict.targets:
        yield "not the same tier and targets: what follows may come from that"
    for target in new.versions:
        before, after = old.versions.get(target, {}), new.versions[target]
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{target}: {name} {before.get(name, 'unknown')} → {after.get(name, 'unknown')}"
    was = {scenario.id: scenario for scenario in old.verdict.scenarios}
    now = {scenario.id: scenario for scenario in new.verdict.scenarios}
    yield from _listed("new scenarios", sorted(now.keys() - was.keys()))
    yield from _listed("gone", sorted(was.keys() - now.keys()))
    moved: dict[str, list[str]] = {}
    for name in sorted(was.keys() & now.keys()):
        before_word, after_word = _word(was[name]), _word(now[name])
        if before_word != after_word:
            moved.setdefault(f"{before_word} → {after_word}", []).append(name)
    for change, names in sorted(moved.items(), key=lambda item: ("fails" not in item[0], item[0])):
        yield from _listed(change, names)
    reasons = [{(found.kind, found.why) for found in known(_places(report))} for report in (old, new)]
    for word, found in (
        ("no longer occurs", reasons[0] - reasons[1]),
        ("occurs now", reasons[1] - reasons[0]),
    ):
        yield from (f"{kind} {word}: {why}" for kind, why in sorted(found))


def _places(report: Report) -> list[Place]:
    return [place for scenario in report.verdict.scenarios for place in places(scenario)]


def _word(scenario: ScenarioVerdict) -> str:
    if not scenario.ok:
        return f"fails ({scenario.parity or 'not compared'})"
    excused = any(cell.contract == "excused" for cell in scenario.cells.values())
    return f"{scenario.parity or 'not compared'}{', contract excused' if excused else ''}"


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        yield f"{what} ({len(names)}): {', '.join(names[:MOST])}{more}"

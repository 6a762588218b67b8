"""Reads the factors from what was measured: each with its values, or why there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from parity.decision.bench import at_best, few, first_event, overhead, peak
from parity.decision.model import ARMS, Factor
from parity.judging.ledger import SEVERITIES
from parity.measuring.model import (
    Benched,
    Faults,
    Install,
    Kept,
    Loss,
    Matrix,
    Measured,
    Soak,
    Source,
    Starts,
    Versions,
)

POINTS = {"none": 0, "cosmetic": 1, "degraded": 3, "broken": 9}
"""The points that a loss of each severity counts in the factor `behaviour`."""
OWN_FACTORS = ("sessions.", "routes.")
"""The clauses that have factors of their own, and count once."""
Values = dict[str, float]


@dataclass(frozen=True)
class Found:
    """Holds values that one part yields, and what they are made of."""

    values: Values
    details: dict[str, str] = field(default_factory=dict)
    note: str = ""


Read = Callable[[Measured], Found | None]


@dataclass(frozen=True)
class Kind:
    """Holds a factor before it is measured: `sources` are asked in order, part and reader."""

    title: str
    unit: str
    better: Literal["lower", "higher"]
    sources: tuple[tuple[str, Read], ...]
    need: dict[str, str] = field(default_factory=dict)


def read(parts: Mapping[str, Measured]) -> list[Factor]:
    """Return all factors, in their order."""
    return [_factor(name, kind, parts) for name, kind in KINDS.items()]


def _factor(name: str, kind: Kind, parts: Mapping[str, Measured]) -> Factor:
    problems = []
    for part, reader in kind.sources:
        measured = parts.get(part)
        if measured is None or measured.data is None:
            problems.append(f"{part}: {measured.problem if measured else 'wasn’t run'}")
            continue
        found = reader(measured)
        if found is None or set(found.values) != set(ARMS):
            problems.append(f"{part}: has no such figure of both")
            continue
        return Factor(
            name=name,
            title=kind.title,
            unit=kind.unit,
            better=kind.better,
            values=found.values,
            details=found.details,
            note=found.note,
            evidence=f"{part}.json",
            command=measured.command,
            made=measured.made,
            need=kind.need,
        )
    return Factor(
        name=name,
        title=kind.title,
        unit=kind.unit,
        better=kind.better,
        values=None,
        problem="; ".join(problems),
        need=kind.need,
    )


def _behaviour(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Matrix):
        return None
    counted = {arm: [loss for loss in data.losses[arm] if _counts(loss)] for arm in data.losses}
    note = "of the scenarios in which a difference is known" if data.expression else "of all scenarios"
    return Found(
        {arm: float(sum(POINTS[loss.severity] for loss in losses)) for arm, losses in counted.items()},
        {arm: _by_severity(losses) for arm, losses in counted.items()},
        f"{data.part} tier, {note}",
    )


def _counts(loss: Loss) -> bool:
    return not (loss.excused and loss.clause.startswith(OWN_FACTORS))


def _by_severity(losses: list[Loss]) -> str:
    counts = Counter(loss.severity for loss in losses)
    said = [f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity]]
    return ", ".join(said) or "nothing lost"


def _sessions(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Matrix):
        return None
    return _shares(data.sessions, f"{data.part} tier; cells of clauses on sessions that are kept")


def _routes(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Starts) or not data.asked:
        return None
    return Found(
        {arm: float(len(one.routes)) for arm, one in data.arms.items() if one.routes is not None},
        {},
        f"of {len(data.asked)} that LiteLLM has beside those of models: {', '.join(data.asked)}",
    )


def _shares(kept: Mapping[str, Kept], note: str) -> Found | None:
    if not all(one.cells for one in kept.values()):
        return None
    return Found(
        {arm: round(100 * one.kept / one.cells, 1) for arm, one in kept.items()},
        {arm: f"{one.kept} of {one.cells}" for arm, one in kept.items()},
        note,
    )


def _soaked(figure: Callable[[Soak, str], float | None]) -> Read:
    def reader(measured: Measured) -> Found | None:
        if not isinstance(soak := measured.data, Soak):
            return None
        values = {arm: value for arm in soak.arms if (value := figure(soak, arm)) is not None}
        how = (
            f"{next(iter(soak.arms.values())).seconds:g} s of small chats over {soak.connections} connections"
        )
        wrong = {arm: f"{one.wrong} of {one.requests} wrong" for arm, one in soak.arms.items() if one.wrong}
        return Found(values, wrong, f"under {how}")

    return reader


def _benched(figure: Callable[[dict[str, object], str], tuple[float, str] | None]) -> Read:
    def reader(measured: Measured) -> Found | None:
        if not isinstance(data := measured.data, Benched):
            return None
        found = {arm: one for arm in ARMS if (one := figure(data.bench, arm))}
        notes = {note for _, note in found.values()}
        return Found({arm: value for arm, (value, _) in found.items()}, {}, "; ".join(sorted(notes)))

    return reader


def _started(figure: Callable[[Starts, str], float | None]) -> Read:
    def reader(measured: Measured) -> Found | None:
        if not isinstance(starts := measured.data, Starts):
            return None
        values = {arm: value for arm in starts.arms if (value := figure(starts, arm)) is not None}
        times = len(next(iter(starts.arms.values())).cold_start_s)
        return Found(values, {}, f"of {times} {'start' if times == 1 else 'starts'}")

    return reader


def _faults(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Faults):
        return None
    return Found(
        {arm: float(sum(fault.survived for fault in faults)) for arm, faults in data.arms.items()},
        {
            arm: ", ".join(
                f"{f.name}: {f'back after {f.seconds:g} s' if f.survived else 'lost'}" for f in faults
            )
            for arm, faults in data.arms.items()
        },
        f"of 3; survived: the port answers all the time, chats again within {data.deadline_s:g} s, unaided",
    )


def _installed(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Install):
        return None
    return Found(
        {arm: one.mb for arm, one in data.arms.items()},
        {arm: f"{one.packages} packages" for arm, one in data.arms.items()},
        "fresh environments, with all that runs",
    )


def _surface(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Source):
        return None
    return Found(
        {arm: float(len([*n.public, *n.internal, *n.words])) for arm, n in data.names.items()},
        {
            arm: f"{len(n.public)} public, {len(n.internal)} internal, {len(n.words)} words of its own"
            for arm, n in data.names.items()
        },
        "functions and classes; words: headers, variables, options, settings; what both share counts for neither",
    )


def _versions(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Versions):
        return None
    return Found(
        {arm: float(len(scenarios)) for arm, scenarios in data.changed.items()},
        {},
        f"of {data.scenarios} scenarios, between LiteLLM {data.before} and {data.after}, by the recordings",
    )


def _lines(measured: Measured) -> Found | None:
    if not isinstance(data := measured.data, Source):
        return None
    return Found({arm: float(lines) for arm, lines in data.lines.items()}, {}, "no comments, no docstrings")


KINDS: dict[str, Kind] = {
    "behaviour": Kind("what clients lose", "points", "lower", (("live", _behaviour), ("mocked", _behaviour))),
    "sessions": Kind("cookies and sessions", "% kept", "higher", (("live", _sessions),)),
    "routes": Kind(
        "other routes reached",
        "routes",
        "higher",
        (("starts", _routes),),
        {"binary": "audio, files and the other `/v1/` data routes"},
    ),
    "latency": Kind(
        "latency of a small chat",
        "ms",
        "lower",
        (("bench", _benched(overhead)), ("soak", _soaked(lambda s, arm: s.arms[arm].p50_ms))),
    ),
    "throughput": Kind(
        "throughput",
        "requests/s",
        "higher",
        (
            ("bench", _benched(at_best)),
            ("soak", _soaked(lambda s, arm: round(s.arms[arm].requests / s.arms[arm].seconds, 1))),
        ),
    ),
    "first_token": Kind("time to the first token", "ms", "lower", (("bench", _benched(first_event)),)),
    "cpu": Kind(
        "CPU of a request",
        "ms",
        "lower",
        (
            ("bench", _benched(lambda bench, arm: few(bench, arm, "cpu_ms"))),
            ("soak", _soaked(lambda s, arm: s.arms[arm].cpu_ms)),
        ),
    ),
    "memory": Kind(
        "memory at the most",
        "MB",
        "lower",
        (
            ("bench", _benched(peak)),
            ("soak", _soaked(lambda s, arm: max((mb for _, mb in s.arms[arm].memory), default=None))),
            ("starts", _started(lambda s, arm: s.arms[arm].memory_mb)),
        ),
    ),
    "cold_start": Kind(
        "cold start",
        "s",
        "lower",
        (("starts", _started(lambda s, arm: round(median(s.arms[arm].cold_start_s), 2))),),
    ),
    "install": Kind("install size", "MB", "lower", (("install", _installed),)),
    "processes": Kind(
        "processes", "", "lower", (("starts", _started(lambda s, arm: float(s.arms[arm].processes))),)
    ),
    "faults": Kind("faults of LiteLLM's survived", "", "higher", (("faults", _faults),)),
    "surface": Kind("reliance on LiteLLM's names", "names", "lower", (("source", _surface),)),
    "versions": Kind("what LiteLLM's releases change", "scenarios", "lower", (("versions", _versions),)),
    "lines": Kind("code of its own", "lines", "lower", (("source", _lines),)),
}
"""All factors by name. The weights go by the same names."""

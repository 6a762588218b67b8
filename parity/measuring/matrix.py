"""Runs the matrix as a process of its own, and sums up what clients notice of each architecture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from packaging.version import Version

from parity.judging.diff import diff
from parity.judging.ledger import SEVERITIES, Ledger
from parity.judging.normalise import normalise
from parity.measuring.model import Kept, Loss, Matrix, MeasureError, Versions
from parity.observation.file import ObservationFile
from parity.observation.model import Observation
from parity.recording.file import shipped_versions
from parity.support.files import write_text_atomic
from proxies.support.redact import redact_text

DEADLINE = 3600.0
TELLING = ("sessions", "data_routes")
"""The themes that are played whole even when time is short."""


def telling() -> str:
    """Return the expression of the scenarios in which a difference is known, or matters most."""
    return " or ".join(
        dict.fromkeys([*TELLING, *(e.scenario.partition("[")[0] for e in Ledger.load().entries)])
    )


def measure(
    tier: Literal["mocked", "live"], expression: str = "", workers: str = "auto", keep: Path | None = None
) -> Matrix:
    """Run one tier, and keep its report in a file. Raises `MeasureError` when it can't be run whole."""
    with TemporaryDirectory(prefix="parity-") as folder:
        run(Path(folder), "--tier", tier, "-n", workers, *(("-k", expression) if expression else ()))
        text = (Path(folder) / "report.json").read_text(encoding="utf-8")
        if keep is not None:
            write_text_atomic(keep, text)
        return summed(json.loads(text)["verdict"], expression)


def versions(workers: str = "auto", expression: str = "") -> Versions:
    """Play the recordings of the oldest and the newest LiteLLM, and count the scenarios that end otherwise."""
    before, *_, after = sorted(shipped_versions(), key=Version)
    seen: dict[tuple[str, str], dict[str, Observation]] = {}
    for version in (before, after):
        with TemporaryDirectory(prefix="parity-") as folder:
            chosen = ("-k", expression) if expression else ()
            run(Path(folder), "--litellm", version, "-n", workers, *chosen)
            for arm in ("binary", "sdk"):
                observed = ObservationFile.read(Path(folder) / f"{arm}.jsonl").observations
                seen[arm, version] = {o.scenario: normalise(o).observation for o in observed}
    changed = {
        arm: sorted(
            scenario
            for scenario, was in seen[arm, before].items()
            if scenario not in seen[arm, after] or diff(was, seen[arm, after][scenario])
        )
        for arm in ("binary", "sdk")
    }
    return Versions(before=before, after=after, scenarios=len(seen["sdk", before]), changed=changed)


def run(folder: Path, *options: str) -> None:
    """Run `parity run` in a process of its own. Raises `MeasureError` when its verdict isn't on the whole."""
    command = [sys.executable, "-W", "ignore", "-m", "parity.cli", "run", "--report", str(folder), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise MeasureError(f"the matrix took longer than {DEADLINE:g} s") from None
    if done.returncode not in (0, 1) or not (folder / "report.json").is_file():
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise MeasureError(f"the matrix could not be run:\n{redact_text(said)}")


def summed(verdict: dict[str, Any], expression: str = "") -> Matrix:
    """Sum up the verdict of a report: cells by theme, and what is lost, by architecture."""
    arms = verdict["targets"]
    themes: dict[str, dict[str, list[str]]] = {}
    sessions: dict[str, list[str]] = {arm: [] for arm in arms}
    for scenario in verdict["scenarios"]:
        by_arm = themes.setdefault(scenario["id"].partition(".")[0], {arm: [] for arm in arms})
        for arm, cell in scenario["cells"].items():
            by_arm[arm].append(cell["contract"])
            if any(clause.startswith("sessions.") for clause in scenario["clauses"]):
                sessions[arm].append(cell["contract"])
    return Matrix(
        part=verdict["tier"],
        line=verdict["line"],
        exit_code=verdict["exit_code"],
        expression=expression,
        themes={theme: {arm: _kept(words) for arm, words in by.items()} for theme, by in themes.items()},
        sessions={arm: _kept(words) for arm, words in sessions.items()},
        losses={arm: _losses(verdict, arm) for arm in arms},
    )


def _kept(words: list[str]) -> Kept:
    return Kept(kept=words.count("met"), cells=len(words))


def _losses(verdict: dict[str, Any], arm: str) -> list[Loss]:
    found: dict[tuple[Any, ...], list[str]] = {}
    for scenario in verdict["scenarios"]:
        for key in _lost(scenario, arm):
            found.setdefault(key, []).append(scenario["id"])
    losses = [
        Loss(severity=severity, notices=notices, clause=clause, excused=excused, scenarios=sorted(set(where)))
        for (severity, notices, clause, excused), where in found.items()
    ]
    return sorted(
        losses, key=lambda loss: (-list(SEVERITIES).index(loss.severity), loss.notices, loss.clause)
    )


def _lost(scenario: dict[str, Any], arm: str) -> Iterator[tuple[Any, ...]]:
    for violation in scenario["cells"].get(arm, {}).get("violations", ()):
        if entry := violation["excused_by"]:
            yield entry["severity"], entry["notices"], entry["clause"], True
        else:
            yield "broken", f"{scenario['title']} Not so here.", scenario["clauses"][0], False

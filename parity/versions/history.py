"""Plays scenarios on one version of LiteLLM after the other, and finds what changed and with which one.

process, sdk         LiteLLM alone: its process, its functions
binary, sdk-proxy    the two proxies on it
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from parity.catalogue.loading import fingerprint
from parity.catalogue.scenario import Scenario
from parity.judging.jsondiff import ABSENT, canonical, changes
from parity.judging.jsonpath import to_path
from parity.judging.normalise import normalise
from parity.observation.file import ObservationFile
from parity.support.files import files_digest, write_text_atomic
from parity.versions.environments import Environment, NotInstallable, environment
from proxies.support.redact import redact_text

PROXIES = ("binary", "sdk-proxy")
SUBJECTS = ("process", "sdk", *PROXIES)
PLAY_DEADLINE = 3600.0
_SOURCES = Path(__file__).parents[2]
_HOW_KEPT = frozenset(["$class", "$unset"])
"""Say how an object of LiteLLM's is written down, not what is in it."""

Seen = Mapping[str, Mapping[str, Any]]
"""An answer or an observation by scenario, then by subject."""


class NotPlayed(Exception):
    """Reports that scenarios could not be played on a version; the message ends with what was said."""


@dataclass(frozen=True)
class Change:
    """Holds one path at which a version answers otherwise than the one before; `<absent>` stands for nothing there."""

    scenario: str
    subject: str
    path: str
    before: Any
    after: Any
    clauses: tuple[str, ...] = ()


@dataclass
class Selected:
    """Holds which scenarios are played on which subjects."""

    scenarios: Sequence[Scenario]
    expression: str
    paths: Sequence[Path]
    subjects: Collection[str] = SUBJECTS

    def play(self, env: Environment) -> Seen:
        """Return what is seen in an environment, from its cache where it was played before. Raises `NotPlayed`."""
        seen: dict[str, dict[str, Any]] = {scenario.id: {} for scenario in self.scenarios}
        kinds = {"process,sdk": "process", "sdk": "sdk", "binary": "binary", "sdk-proxy": "sdk-proxy"}
        if "process" in self.subjects:
            del kinds["sdk"]
        for kind, needed in kinds.items():
            if needed not in self.subjects:
                continue
            for scenario, by_subject in self._cached(env, kind).items():
                seen[scenario] |= {s: v for s, v in by_subject.items() if s in self.subjects}
        return seen

    def _cached(self, env: Environment, kind: str) -> Seen:
        parts = sorted(map(fingerprint, self.scenarios))
        if kind in PROXIES:  # what a proxy answers changes with its own code, too
            parts.append(files_digest((_SOURCES / "proxies").rglob("*.py"), _SOURCES))
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        file = env.python.parents[1] / "seen" / f"{kind.replace(',', '-')}-{key}.json"
        if not file.is_file() or not env.kept:
            played = self._proxy(env, kind) if kind in PROXIES else self._alone(env, kind)
            write_text_atomic(file, json.dumps(played))
        seen: Seen = json.loads(file.read_text(encoding="utf-8"))
        return seen

    def _alone(self, env: Environment, subjects: str) -> Seen:
        with TemporaryDirectory(prefix="parity-") as folder:
            out = Path(folder) / "seen.json"
            _run(env, ["parity.versions.alone", str(out), subjects, self.expression, *map(str, self.paths)])
            seen: Seen = json.loads(out.read_text(encoding="utf-8"))
        return seen

    def _proxy(self, env: Environment, kind: str) -> Seen:
        with TemporaryDirectory(prefix="parity-") as folder:
            out = Path(folder) / "seen.jsonl"
            arm = "binary" if kind == "binary" else "sdk"
            where = [part for path in self.paths for part in ("--scenarios", str(path))]
            chosen = ["-k", self.expression] if self.expression else []
            command = ["observe", "--target", arm, "--tier", "live", "--out", str(out)]
            _run(env, ["parity.cli", *command, *where, *chosen])
            observations = ObservationFile.read(out).observations
        left_out = {"scenario", "target", "tier"}
        return {
            o.scenario: {kind: normalise(o).observation.model_dump(mode="json", exclude=left_out)}
            for o in observations
        }


def _run(env: Environment, module: Sequence[str]) -> None:
    command = [str(env.python), "-W", "ignore", "-m", *module]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PLAY_DEADLINE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise NotPlayed(f"LiteLLM {env.name} was not played within {PLAY_DEADLINE:g} s") from None
    if done.returncode:
        said = redact_text("\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]))
        raise NotPlayed(f"LiteLLM {env.name} could not be played:\n{said}")


def differences(before: Seen, after: Seen, scenarios: Iterable[Scenario], under: str = "") -> list[Change]:
    """Return what changed from one version to another, below the path `under` alone."""
    found = []
    for scenario in scenarios:
        one, other = before.get(scenario.id, {}), after.get(scenario.id, {})
        for subject in SUBJECTS:
            if subject not in one or subject not in other:
                continue
            for parts, left, right in changes(one[subject], other[subject], ()):
                if not _HOW_KEPT.isdisjoint(parts):
                    continue
                if (path := to_path(parts)).startswith(under or "$"):
                    was, now = (ABSENT.value if value is ABSENT else value for value in (left, right))
                    found.append(Change(scenario.id, subject, path, was, now, tuple(scenario.clauses)))
    return found


@dataclass
class Step:
    """Holds one version that was played, or why it wasn't; `changes` are those since the last one that was."""

    version: str
    changes: list[Change] = field(default_factory=list)
    since: str = ""
    problem: str = ""
    install_seconds: float = 0.0
    play_seconds: float = 0.0
    notes: tuple[str, ...] = ()


class Player:
    """Plays versions as they are asked for, each once, and counts what that took."""

    def __init__(self, selected: Selected, say: Callable[[str], None]) -> None:
        self.selected = selected
        self.installs = 0
        self.seconds = 0.0
        self._say = say
        self._seen: dict[str, tuple[Seen | None, Step]] = {}

    def play(self, version: str) -> tuple[Seen | None, Step]:
        """Return what is seen with this version; None, and why, when it can't be installed or played."""
        if version not in self._seen:
            self._seen[version] = self._play(version)
        return self._seen[version]

    def _play(self, version: str) -> tuple[Seen | None, Step]:
        began = time.monotonic()
        step = Step(version)
        seen: Seen | None = None
        try:
            env = environment(version, self._say)
            self.installs += bool(env.seconds)
            step.install_seconds, step.notes = env.seconds, env.notes
            seen = self._played(env)
        except (NotInstallable, NotPlayed) as error:
            step.problem = str(error)
            self._say(f"left out: {error}")
        took = time.monotonic() - began
        self.seconds += took
        step.play_seconds = took - step.install_seconds
        return seen, step

    def _played(self, env: Environment) -> Seen:
        """Play a version, and once more where that fails: a busy machine is no property of a release."""
        try:
            return self.selected.play(env)
        except NotPlayed as error:
            self._say(f"once more: {error}")
            return self.selected.play(env)

    def follow(self, versions: Sequence[str]) -> list[Step]:
        """Play the versions in their order, each compared with the one before; say how long it will take."""
        steps, last, last_version = [], None, ""
        began = time.monotonic()
        for number, version in enumerate(versions, 1):
            seen, step = self.play(version)
            if seen is not None and last is not None:
                step.since = last_version
                step.changes = differences(last, seen, self.selected.scenarios)
            if seen is not None:
                last, last_version = seen, version
            steps.append(step)
            each = (time.monotonic() - began) / number
            what = (step.problem and "left out") or f"{len(step.changes)} changes"
            self._say(
                f"{number} of {len(versions)} · {version}: {what} · {step.install_seconds:.0f} s to install, "
                f"{step.play_seconds:.0f} s to play · about {ceil(each * (len(versions) - number))} s left"
            )
        return steps


@dataclass
class Bisected:
    """Holds where an observation changed first: none when it is as in the good version in all others.

    `between` are those after the last as before that were left out: it may have changed in one of them already.
    """

    first: str | None
    before: str
    changes: list[Change]
    left_out: list[str]
    between: list[str] = field(default_factory=list)


def bisect(player: Player, versions: Sequence[str], under: str = "") -> Bisected:
    """Find the first of the versions whose observation differs from the first one's, below the path `under`.

    It takes as many installs as halving takes, and one for the first version. One that can't be played is left out.
    """
    good, _ = player.play(versions[0])
    if good is None:
        raise NotPlayed(f"the good version can't be played: {player.play(versions[0])[1].problem}")
    candidates, left_out = list(versions[1:]), []
    low, high = 0, len(candidates)  # all before `low` are like the good one, `high` and all after it aren't
    found: list[Change] = []
    while low < high:
        middle = (low + high) // 2
        seen, _ = player.play(candidates[middle])
        if seen is None:
            left_out.append(candidates.pop(middle))
            high -= 1
            continue
        if different := differences(good, seen, player.selected.scenarios, under):
            high, found = middle, different
        else:
            low = middle + 1
    first = candidates[high] if high < len(candidates) else None
    before = candidates[high - 1] if high else versions[0]
    around = versions[versions.index(before) + 1 : versions.index(first) if first else None]
    return Bisected(first, before, found, left_out, [name for name in around if name in left_out])


def as_json(steps: Iterable[Step]) -> str:
    """Return the steps as a JSON document."""
    return json.dumps([asdict(step) for step in steps], indent=1, ensure_ascii=False, default=repr) + "\n"


def short(value: Any, limit: int = 160) -> str:
    """Return a value on one line, cut where it is long."""
    text = value if value == ABSENT.value else canonical(value)
    return text if len(text) <= limit else f"{text[:limit]}…"

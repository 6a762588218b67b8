"""Collects the parts one after the other, each in a file of its own; what is there and still holds is kept."""

from __future__ import annotations

import os
import platform
import re
import shlex
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from parity.measuring import benching, installing, matrix, running, source
from parity.measuring.model import Data, Machine, Measured, MeasureError, read
from parity.observation.file import versions
from parity.support.cores import cores
from parity.support.files import files_digest, write_text_atomic
from parity.targets.stack import StackError
from proxies.support.redact import redact_text

QUICK_SECONDS = 285.0
"""The time that `--quick` has; a part that wouldn't end within it isn't begun."""
LEFT_OUT = "left out: --quick had no time left for it"
DECIDING = ("litellm", "httpx", "fastapi", "uvicorn", "aiohttp", "openai")
_PACKAGE = Path(__file__).parents[1]

BENCHED = ("--subjects", "direct,binary,sdk")
"""The subjects of the bench: both architectures, and none of them for what the proxies add."""

_PATH = re.compile(r"(?<![\w.:/…])/(?:[\w.@+-]+/)+")
"""The folders of a path of this machine: they say nothing to another reader."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """Holds how thoroughly it is measured."""

    quick: bool = False
    minutes: float = 2.0
    workers: str = "auto"
    folder: Path = Path("measurements")

    def report(self, tier: str) -> Path:
        """Name the file that keeps the whole report of a tier."""
        return self.folder / f"{tier}-report.json"


@dataclass(frozen=True)
class Part:
    """Holds a part: about how many seconds it takes on two cores, thorough and quick, and what measures it."""

    about: float
    about_quick: float
    measure: Callable[[Settings, Say], Data]


PARTS: dict[str, Part] = {
    "source": Part(1, 1, lambda _settings, _say: source.measure()),
    "live": Part(
        600,
        60,
        lambda s, _say: matrix.measure(
            "live", matrix.telling() if s.quick else "", s.workers, s.report("live")
        ),
    ),
    "starts": Part(120, 45, lambda s, say: running.starts(1 if s.quick else 5, say)),
    "soak": Part(300, 60, lambda s, say: running.soak(10 if s.quick else s.minutes * 60, 8, say)),
    "faults": Part(
        240, 75, lambda s, say: running.faults(say, deadline=10 if s.quick else running.FAULT_DEADLINE)
    ),
    "mocked": Part(90, 60, lambda s, _say: matrix.measure("mocked", "", s.workers, s.report("mocked"))),
    "versions": Part(
        180, 60, lambda s, _say: matrix.versions(s.workers, matrix.telling() if s.quick else "")
    ),
    "install": Part(240, 60, lambda _settings, say: installing.measure(say)),
    "bench": Part(900, 120, lambda s, _say: benching.measure(*BENCHED, *(["--quick"] if s.quick else []))),
}
"""In the order in which they are measured: what tells most comes first."""


def collect(
    settings: Settings,
    say: Say,
    only: Collection[str] = (),
    parts: Mapping[str, Part] | None = None,
) -> dict[str, Measured]:
    """Measure what isn't in the folder yet, and return all parts. A part that fails says why, and holds up none."""
    folder = settings.folder
    wanted = {name: part for name, part in (parts or PARTS).items() if not only or name in only}
    fixed = inputs(settings)
    kept = {name: one for name in wanted if (one := _kept(folder / f"{name}.json", fixed))}
    left = {name: _about(part, settings) for name, part in wanted.items() if name not in kept}
    say(
        f"{len(kept)} of {len(wanted)} parts are measured already; the rest takes about {_time(sum(left.values()))}"
    )
    began = time.monotonic()
    found: dict[str, Measured] = {}
    for number, (name, part) in enumerate(wanted.items(), 1):
        if name in kept:
            found[name] = kept[name]
            continue
        say(
            f"[{number}/{len(wanted)}] {name}: about {_time(left[name])}, then {_time(sum(left.values()) - left[name])}"
        )
        spent = time.monotonic() - began
        if settings.quick and spent + left[name] > QUICK_SECONDS:
            found[name] = _measured(name, settings, fixed, 0.0, None, LEFT_OUT)
        else:
            found[name] = _one(name, part, settings, fixed, say)
        del left[name]
        write_text_atomic(folder / f"{name}.json", found[name].model_dump_json(indent=1) + "\n")
        say(f"    {found[name].problem or f'took {_time(found[name].seconds)}'}")
    return found


def failed(parts: Mapping[str, Measured]) -> bool:
    """Return whether a part that was begun has no result; what `--quick` leaves out hasn't failed."""
    return any(part.data is None and part.problem != LEFT_OUT for part in parts.values())


def load(folder: Path) -> dict[str, Measured]:
    """Read the parts in a folder, without measuring. Raises `MeasureError` when there is none, or one is damaged."""
    found = {name: read(path) for name in PARTS if (path := folder / f"{name}.json").is_file()}
    if not found:
        raise MeasureError(f"{folder}: no measurements; `parity measure --out {folder}` makes them")
    return found


def inputs(settings: Settings) -> dict[str, str]:
    """Return what measurements depend on: settings, versions, and a hash of the code and the scenarios."""
    files = [*_PACKAGE.with_name("proxies").rglob("*.py"), _PACKAGE / "divergences.yaml"]
    files += (_PACKAGE / "scenarios").rglob("*.yaml")
    return {
        "how": "quick" if settings.quick else f"{settings.minutes:g} minutes of load",
        "code": files_digest(files, _PACKAGE.parent),
        "python": platform.python_version(),
        **versions(*DECIDING),
    }


def machine() -> Machine:
    """Describe the machine by its kind."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (OSError, StopIteration, ValueError):
        memory = 0.0
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu,
        cores=cores(),
        memory_gb=round(memory, 1) or None,
        python=platform.python_version(),
    )


def _kept(path: Path, fixed: Mapping[str, str]) -> Measured | None:
    try:
        found = read(path)
    except MeasureError:
        return None  # it is measured anew
    return found if found.data is not None and found.inputs == fixed else None


def _one(name: str, part: Part, settings: Settings, fixed: dict[str, str], say: Say) -> Measured:
    began = time.monotonic()
    data, problem = None, ""
    try:
        data = part.measure(settings, say)
    except (MeasureError, StackError) as error:
        problem = _PATH.sub("…/", redact_text(str(error)))
    return _measured(name, settings, fixed, time.monotonic() - began, data, problem)


def _measured(
    name: str, settings: Settings, fixed: dict[str, str], seconds: float, data: Data | None, problem: str
) -> Measured:
    options = ["--quick"] if settings.quick else ["--minutes", f"{settings.minutes:g}"]
    return Measured(
        part=name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        command=shlex.join(["parity", "measure", "--part", name, *options]),
        inputs=fixed,
        machine=machine(),
        versions=versions(*DECIDING),
        data=data,
        problem=problem,
    )


def _about(part: Part, settings: Settings) -> float:
    return part.about_quick if settings.quick else part.about


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

"""Starts the bench's own processes, and reads what a subject's processes use from /proc; elsewhere that is unknown."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parity.bench.load import Job, Seen
from parity.bench.upstream import Answer

PROC = Path("/proc")
STOP = 10.0
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
ENDED = 0.05
"""The seconds by which the two ways to count may differ while no thread ends."""


class BenchError(Exception):
    """Reports that the bench itself can't go on."""


def tree(root: int) -> list[int]:
    """Return a process and all that it started, directly or not; empty where that is unknown."""
    children: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            text = path.read_text()
            children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found, left = [], [root] if (PROC / str(root)).exists() else []
    while left:
        found.append(now := left.pop())
        left += children.get(now, [])
    return found


@dataclass(frozen=True)
class Cpu:
    """Holds CPU time so far, in seconds: of the threads that live, to the nanosecond, and of all in clock ticks."""

    living: float = 0.0
    all: float = 0.0

    def since(self, before: Cpu) -> float:
        """Return the time since then. Ticks count where a thread ended in between, whose time is gone otherwise."""
        exact, rough = self.living - before.living, self.all - before.all
        return exact if abs(exact - rough) < ENDED else rough


def cpu(pids: list[int]) -> Cpu:
    """Return the CPU time of processes; nothing where that is unknown."""
    living, total = 0, 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        for path in (PROC / str(pid) / "task").glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                living += int(path.read_text().split()[0])
    return Cpu(living / 1e9, total / TICKS)


def memory_mb(pids: list[int], what: str = "VmRSS") -> float | None:
    """Return the resident memory of processes, or with `VmHWM` the most that they had; None where it is unknown."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in (PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith(f"{what}:"):
                    found.append(int(line.split()[1]) / 1024)
    return sum(found) if found else None


@contextlib.contextmanager
def memory_after(pids: list[int], seconds: float) -> Iterator[list[float]]:
    """Look at the resident memory once, so long after the context began, at its end at the latest."""
    found: list[float] = []

    def look() -> None:
        if (held := memory_mb(pids)) is not None:
            found.append(held)

    timer = threading.Timer(seconds, look)
    timer.start()
    try:
        yield found
    finally:
        timer.cancel()
        timer.join()
        if not found:  # the load ended before its time, or the timer came late
            look()


class Helper:
    """Runs a module of the bench, which ends with its input."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, given: Mapping[str, Any]) -> str:
        """Send a line of JSON, and return the line that comes back. Raises `BenchError`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(given) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise BenchError(f"{self._module} ended; what it said is above")
        return line

    def stop(self) -> None:
        """Close its input, and wait for it."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(frozen=True)
class Upstream:
    """Holds the upstream that runs."""

    url: str
    pid: int


@contextlib.contextmanager
def upstream(answers: Mapping[str, Answer], port: int = 0) -> Iterator[Upstream]:
    """Run the upstream while the context lasts."""
    helper = Helper("parity.bench.upstream")
    try:
        dumped = {name: answer.dump() for name, answer in answers.items()}
        url = helper.ask({"answers": dumped, "port": port}).strip()
        yield Upstream(url, helper.pid)
    finally:
        helper.stop()


class LoadProcess:
    """Makes load from a process of its own, one job after the other."""

    def __init__(self) -> None:
        self._helper = Helper("parity.bench.load")

    def run(self, job: Job) -> Seen:
        """Run one job. Raises `BenchError`."""
        return Seen(**json.loads(self._helper.ask(asdict(job))))

    def stop(self) -> None:
        self._helper.stop()

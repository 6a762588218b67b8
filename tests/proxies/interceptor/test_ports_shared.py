"""The registry under many processes, some of which are killed in the middle of their work."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from proxies.interceptor.ports import PortRegistry
from tests.root import ROOT

PROCESSES, ALLOCATIONS, PROJECTS, DOOMED = 16, 50, 100, 4

# Each line that it writes is a promise: this project has that port.
STEADY = """
import os, random, sys
from proxies.interceptor.ports import PortRegistry
seed, count, projects = map(int, sys.argv[1:])
registry = PortRegistry()
print("ready", flush=True)
sys.stdin.readline()
rng = random.Random(seed)
for n in rng.sample(range(projects), count):
    print(f"/src/{n}", registry.get_or_allocate_port(f"/src/{n}"))
"""
# Never has what it asks for, so that it is always about to write when it is killed.
BUSY = """
import sys
from proxies.interceptor.ports import PortRegistry
registry = PortRegistry()
print("ready", flush=True)
sys.stdin.readline()
n = 0
while True:
    project = f"/doomed/{sys.argv[1]}/{n}"
    print(project, registry.get_or_allocate_port(project), flush=True)
    n += 1
"""


def start(code: str, *arguments: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Reader:
    """Reads the file all the time, and keeps count of what it saw: whole files, and ports that changed."""

    def __init__(self, path: Path) -> None:
        self.reads = 0
        self.faults: list[str] = []
        self._path = path
        self._ports: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, project: str) -> None:
        deadline = time.monotonic() + 30
        while project not in self._ports:
            assert time.monotonic() < deadline, f"{project} never got a port"
            time.sleep(0.005)

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            try:
                ports = json.loads(self._path.read_bytes())["ports"]
            except FileNotFoundError:
                if self._ports:
                    self.faults.append("the file is gone")
                continue
            except (ValueError, KeyError, TypeError) as error:
                self.faults.append(f"unreadable: {error!r}")
                continue
            self.reads += 1
            if not self._ports.items() <= ports.items():
                self.faults.append("a mapping was lost or changed")
            self._ports = ports


def test_many_processes_some_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 processes ask 50 times each for 100 projects, 4 more are killed: one port each, none shared, none lost."""
    path = tmp_path / "ports.json"
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(path))
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", "10000")
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", "31999")
    busy = [start(BUSY, n) for n in range(DOOMED)]
    steady = [start(STEADY, n, ALLOCATIONS, PROJECTS) for n in range(PROCESSES)]
    everyone = busy + steady
    try:
        for process in everyone:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()
        with Reader(path) as reader:
            for process in everyone:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            for n, process in enumerate(busy):
                reader.wait_for(f"/doomed/{n}/0")
                time.sleep(random.uniform(0, 0.3))  # at random is the point
                process.kill()
            said = [process.communicate(timeout=50) for process in everyone]
    finally:
        for process in everyone:
            process.kill()
            process.communicate()

    assert [process.returncode for process in steady] == [0] * PROCESSES, said
    assert [process.returncode for process in busy] == [-9] * DOOMED
    assert [err for _, err in said] == [""] * len(everyone)
    # A killed process's last line may be cut.
    promises = [
        line.split() for out, _ in said for line in out.splitlines(keepends=True) if line.endswith("\n")
    ]
    ports = PortRegistry().mappings()
    assert len(promises) > PROCESSES * ALLOCATIONS, "the killed ones were at work"
    assert [(project, port) for project, port in promises if ports.get(project) != int(port)] == []
    assert {f"/src/{n}" for n in range(PROJECTS)} >= {p for p in ports if p.startswith("/src/")}
    assert len([p for p in ports if p.startswith("/src/")]) == len(
        {p for p, _ in promises if p.startswith("/src/")}
    )
    assert [port for port, count in Counter(ports.values()).items() if count > 1] == []
    assert reader.faults == []
    assert reader.reads > 10
    assert PortRegistry().get_or_allocate_port("/src/after") not in ports.values()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ports.json", "ports.json.lock"]
    print(f"{len(promises)} allocations, {len(ports)} projects, {reader.reads} reads")

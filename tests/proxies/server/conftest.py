from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxies.server.running import Running
from tests.root import ROOT


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[subprocess.Popen[str]] = []
    go = tmp_path / "go"

    def start(*arguments: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.proxies.served", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "GO": str(go)},
        )
        started.append(process)
        return Running(process, go)

    yield start
    for process in started:
        process.kill()
        process.communicate()

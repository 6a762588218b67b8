"""Runs `tests/proxies/served.py` as a process, and waits for what it does."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.proxies.front.fakes import KEY

STREAM = {"model": "fast", "messages": [{"role": "user", "content": "hi"}], "stream": True}
PLAIN = {**STREAM, "stream": False}
HEADERS = {"authorization": f"Bearer {KEY}"}


class Running:
    """A process of `served.py`, its lines as they come."""

    def __init__(self, process: subprocess.Popen[str], go: Path) -> None:
        self.process = process
        self.go = go

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, stderr."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def refused(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))).close()
    except ConnectionRefusedError:
        return True
    return False


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.01)

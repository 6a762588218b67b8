"""Starts a Redis for a test: one that is written in Python, and the real one where the system has it.

With REDIS_SERVER=needed a test fails where there is no `redis-server`; otherwise it is skipped then.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from fakeredis import TcpFakeServer

Kind = Literal["fake", "real"]
KINDS: tuple[Kind, ...] = ("fake", "real")


@contextmanager
def redis_server(kind: Kind) -> Iterator[str]:
    """The URL of an empty Redis, which is gone afterwards."""
    with _fake() if kind == "fake" else _real() as url:
        yield url


@contextmanager
def _fake() -> Iterator[str]:
    with TcpFakeServer(("127.0.0.1", 0), server_type="redis") as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()


@contextmanager
def _real() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("REDIS_SERVER") == "needed":
            pytest.fail("redis-server is needed, and isn't installed")
        pytest.skip("redis-server isn't installed")
    # A short path, as a socket needs.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder, started(program, Path(folder)) as url:
        yield url


@contextmanager
def started(program: str, folder: Path) -> Iterator[str]:
    """A `redis-server` with its socket in a folder; what it holds goes with it."""
    path = folder / "redis.sock"
    options = [
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(path, process)
            yield f"unix://{path}"
        finally:
            process.kill()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("redis-server didn't start")

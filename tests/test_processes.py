"""Whether a process still runs can be asked at any moment of its life."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import gone

STAT = Path("/proc/self/stat")


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def test_a_process_is_gone_as_soon_as_it_has_ended() -> None:
    """It runs, then it has ended and nobody has reaped it, then it is reaped."""
    with _child() as child:
        assert not gone(child.pid)
        child.kill()
        deadline = time.monotonic() + 10
        while STAT.exists() and not gone(child.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.wait(10)
        assert gone(child.pid)


@pytest.mark.skipif(not STAT.exists(), reason="needs /proc")
@pytest.mark.parametrize("reaped_before", ["open", "read"])
def test_a_process_that_is_reaped_meanwhile_is_gone(
    reaped_before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is answered, also where the process is reaped while its state is being read."""
    child = _child()
    read: Callable[..., str] = Path.read_text

    def late(path: Path, *args: Any, **kwargs: Any) -> str:
        if reaped_before == "read":
            with path.open() as file:
                child.communicate()
                return file.read()
        child.communicate()
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", late)
    assert gone(child.pid)

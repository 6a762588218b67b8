"""Runs `parity bench` as a process of its own, where this version of the project has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from parity.measuring.model import Benched, MeasureError
from proxies.support.redact import redact_text

DEADLINE = 3600.0


def measure(*options: str) -> Benched:
    """Run it on both architectures. Raises `MeasureError` where it can't be run, or leaves no bench.json."""
    with TemporaryDirectory(prefix="parity-") as folder:
        command = [sys.executable, "-W", "ignore", "-m", "parity.cli", "bench", "--out", folder, *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise MeasureError(f"the bench took longer than {DEADLINE:g} s") from None
        file = Path(folder) / "bench.json"
        if not file.is_file():
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-3:])
            raise MeasureError(f"the bench left no bench.json:\n{redact_text(said)}")
        return Benched(bench=read(file))


def read(file: Path) -> dict[str, Any]:
    """Read a bench.json. Raises `MeasureError`."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MeasureError(f"{file}: no bench.json: {error}") from None
    if not isinstance(found, dict) or found.get("parity_bench") != 1:
        raise MeasureError(f"{file}: no bench.json of the form that is read here: `parity_bench` must be 1")
    return found

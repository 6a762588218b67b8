"""Measures what each architecture needs on a disk: a fresh environment, and in it what its users install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from parity.measuring.model import Install, Installed, MeasureError

ROOT = Path(__file__).parents[2]
EXTRAS = {"binary": "live", "sdk": "sdk"}
"""The extra that each needs beside the package: binary for a LiteLLM process, sdk for LiteLLM's functions."""
DEADLINE = 900.0


def measure(say: Callable[[str], None], root: Path = ROOT) -> Install:
    """Install each into an environment of its own. Raises `MeasureError`, also outside of a checkout."""
    if not (root / "pyproject.toml").is_file():
        raise MeasureError("install sizes are measured in a checkout of the project; here there is none")
    found = {}
    with TemporaryDirectory(prefix="parity-") as folder:
        for arm, extra in EXTRAS.items():
            say(f"installing {arm} in a fresh environment")
            where = Path(folder) / arm
            _run([sys.executable, "-m", "venv", "--without-pip", str(where)])
            _run([*_installer(where), "-c", str(root / "constraints.txt"), f"{root}[{extra}]"])
            packages = next(where.glob("lib/python*/site-packages"), where / "Lib/site-packages")
            found[arm] = Installed(
                mb=round(size(packages) / 1e6, 1), packages=len(list(packages.glob("*.dist-info")))
            )
    return Install(arms=found)


def _installer(environment: Path) -> list[str]:
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "-q", "--python", str(python)]
    return [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-compile"]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise MeasureError(f"installing took longer than {DEADLINE:g} s") from None
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-4:])
        raise MeasureError(f"it could not be installed:\n{said}")


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder, compiled ones left out: they come with the first run."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc")

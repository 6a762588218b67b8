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
            uv = shutil.which("uv")
            _run([sys.executable, "-m", "venv", *(["--without-pip"] if uv else []), str(where)])
            _run([*_installer(where, uv), "-c", str(root / "constraints.txt"), f"{root}[{extra}]"])
            packages = next(where.glob("lib/python*/site-packages"), where / "Lib/site-packages")
            found[arm] = Installed(
                mb=round(size(packages) / 1e6, 1),
                packages=sum(not _is_pip(found.name) for found in packages.glob("*.dist-info")),
            )
    return Install(arms=found)


def _installer(environment: Path, uv: str | None) -> list[str]:
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if uv:
        return [uv, "pip", "install", "-q", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise MeasureError(f"installing took longer than {DEADLINE:g} s") from None
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-4:])
        raise MeasureError(f"it could not be installed:\n{said}")


def size(packages: Path) -> int:
    """Return the bytes of installed packages, without pip, and without what Python compiles when it runs."""
    files = (path for path in packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files if not _is_pip(path.relative_to(packages).parts[0]))


def _is_pip(name: str) -> bool:
    return name.partition("-")[0] in ("pip", "setuptools")

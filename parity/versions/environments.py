"""Makes environments for other versions of LiteLLM, kept in the cache and used again.

An environment has one version of LiteLLM and what that needs in another version than is here; all else is taken from
the environment that this program runs in. So LiteLLM's extra `proxy`, whose pins a registry may not have, is never
asked for.

    ENVIRONMENT/lib/…/site-packages     litellm, and requirements of its that what is here doesn't meet
    then                                the packages of the environment that this program runs in
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from parity.support.files import cache_folder, write_text_atomic

INSTALL_DEADLINE = 900.0

_REQUIREMENTS = """
import json
from importlib.metadata import requires, version
print(json.dumps([version("litellm"), requires("litellm") or []]))
"""


class NotInstallable(Exception):
    """Reports that a version can't be installed here; the message says why."""


@dataclass(frozen=True)
class Environment:
    """Holds an interpreter that has this version of LiteLLM; `seconds` is what installing it took, 0 for one reused."""

    name: str
    python: Path
    litellm: str
    seconds: float
    notes: tuple[str, ...] = ()
    kept: bool = True
    """Whether what was seen in it still holds: a folder's copy of LiteLLM may be edited."""


def environment(wanted: str, said: Callable[[str], None] = lambda _: None) -> Environment:
    """Return an environment with this version of LiteLLM, or with the copy of LiteLLM in this folder.

    Raises `NotInstallable` when the version can't be installed.
    """
    source = Path(wanted)
    patched = source.is_dir()
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / "environments" / here / (_digest(source.resolve()) if patched else wanted)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "done.json"
    if done.is_file() and not patched:
        kept = json.loads(done.read_text(encoding="utf-8"))
        _look_behind(_packages(folder))  # another checkout of the project may have made it
        return Environment(wanted, python, kept["litellm"], 0.0, tuple(kept["notes"]))
    said(f"installing {wanted}")
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([*_maker(), *(() if not patched or shutil.which("uv") else ("--without-pip",)), str(folder)], wanted)
    packages = _packages(folder)
    _look_behind(packages)
    notes: list[str] = []
    if patched:
        notes.append(_patched(source.resolve(), packages))
    else:
        _run([*_installer(python), "--no-deps", f"litellm=={wanted}"], wanted)
    litellm, requirements = json.loads(_run([str(python), "-c", _REQUIREMENTS], wanted))
    if unmet := _unmet(requirements):
        notes.append(f"also installed: {', '.join(unmet)}")
        _run([*_installer(python), *unmet], wanted)
    write_text_atomic(done, json.dumps({"litellm": litellm, "notes": notes}))
    return Environment(wanted, python, litellm, time.monotonic() - began, tuple(notes), kept=not patched)


def releases(after: str, until: str | None = None) -> list[str]:
    """Return the releases of LiteLLM from one to another, both included, as pip's registry lists them."""
    said = _run([*_pip(), "index", "versions", "litellm"], "the list of releases")
    line = next((line for line in said.splitlines() if line.startswith("Available versions:")), "")
    found = []
    for text in line.partition(":")[2].split(","):
        try:
            found.append(Version(text.strip()))
        except InvalidVersion:
            continue
    newest = Version(until) if until else max(found, default=Version(after))
    return [str(v) for v in sorted(found) if Version(after) <= v <= newest]


def _packages(folder: Path) -> Path:
    return next(folder.glob("lib/python*/site-packages"), folder / "Lib/site-packages")


def _look_behind(packages: Path) -> None:
    """Let an environment find, after its own packages, those of this one and the project that this code is of."""
    behind = (sysconfig.get_paths()["purelib"], Path(__file__).parents[2])
    write_text_atomic(packages / "parity_behind.pth", "".join(f"{path}\n" for path in behind))


def _digest(folder: Path) -> str:
    return f"copy-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"


def _patched(source: Path, packages: Path) -> str:
    """Link a copy of LiteLLM into an environment: the folder `litellm` itself, or the one that holds it."""
    package = source if source.name == "litellm" else source / "litellm"
    if not (package / "__init__.py").is_file():
        raise NotInstallable(f"{source}: holds no copy of the package litellm")
    (packages / "litellm").symlink_to(package, target_is_directory=True)
    if about := next(package.parent.glob("litellm-*.dist-info"), None):
        (packages / about.name).symlink_to(about, target_is_directory=True)
    return f"a copy of LiteLLM in {source}"


def _unmet(requirements: Sequence[str]) -> list[str]:
    """Return what LiteLLM asks for without an extra and what is here doesn't meet."""
    unmet = []
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            met = requirement.specifier.contains(version(requirement.name), prereleases=True)
        except PackageNotFoundError:
            met = False
        if not met:
            unmet.append(f"{requirement.name}{requirement.specifier}")
    return unmet


def _maker() -> list[str]:
    if uv := shutil.which("uv"):
        return [uv, "venv", "-q", "--python", sys.executable]
    return [sys.executable, "-m", "venv"]


def _installer(python: Path) -> list[str]:
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "-q", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "-q"]


def _pip() -> list[str]:
    try:
        version("pip")
    except PackageNotFoundError:
        if pip := shutil.which("pip"):
            return [pip]
        raise NotInstallable("listing LiteLLM's releases needs pip; name the versions instead") from None
    return [sys.executable, "-m", "pip"]


def _run(command: Sequence[str], what: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # an installer, or an interpreter that it made
            command, capture_output=True, text=True, timeout=INSTALL_DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotInstallable(f"{what} was not installed within {INSTALL_DEADLINE:g} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise NotInstallable(f"{what} can't be installed here: {said[:400]}")
    return done.stdout

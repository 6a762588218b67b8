"""Adds up what a subject's installation takes on the disk, with all that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from parity.bench.subjects import Subject
from parity.gateways.process import installed

NEEDS = {
    "binary": ("proxy-parity[live]",),
    "binary-free": ("proxy-parity",),
    "sdk": ("proxy-parity[sdk]",),
    "litellm": ("proxy-parity[live]",),
    "bare-litellm": ("litellm", "fastapi", "uvicorn"),
    "bare-httpx": ("httpx", "fastapi", "uvicorn"),
    "echo": ("fastapi", "uvicorn"),
}
"""The requirements of each subject of Python; LiteLLM's process needs what the extra `live` names."""


def install_mb(subject: Subject) -> float | None:
    """Return the megabytes of a subject's packages; None where they aren't known."""
    if subject.name in NEEDS:
        needed: dict[str, Distribution] = {}
        for text in NEEDS[subject.name]:
            _add(Requirement(text), needed)
        if subject.name == "litellm":
            needed.pop("proxy-parity", None)
        return sum(map(_bytes, needed.values())) / 1e6
    if subject.profile is not None and subject.profile.install.npm:
        home = installed(subject.profile)
        return None if home is None else sum(_files(home)) / 1e6
    return None


def _files(folder: Path) -> Iterator[int]:
    return (path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _add(requirement: Requirement, found: dict[str, Distribution], seen: set[str] | None = None) -> None:
    """Add a package and, where they are installed, all that it asks for."""
    seen = set() if seen is None else seen
    key = f"{requirement.name.lower()}[{','.join(sorted(requirement.extras))}]"
    if key in seen:
        return
    seen.add(key)
    try:
        there = distribution(requirement.name)
    except PackageNotFoundError:
        return
    found[there.metadata["Name"].lower().replace("_", "-")] = there
    for text in there.requires or []:
        asked = Requirement(text)
        extras = requirement.extras or {""}
        if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
            _add(asked, found, seen)


def _bytes(package: Distribution) -> int:
    return sum(file.size or 0 for file in package.files or [])

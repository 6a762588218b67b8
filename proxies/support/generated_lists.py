"""Reads and writes JSON files of lists that are made from the installed LiteLLM, so that nobody else needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path


def read(file: Path) -> Mapping[str, frozenset[str]]:
    """Return the lists by their names; the version of LiteLLM that they are of is none of them."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return {name: frozenset(items) for name, items in data.items() if name != "litellm"}


def write(file: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write the lists, and the version of the installed LiteLLM before them."""
    text = json.dumps({"litellm": version("litellm"), **lists}, indent=1)
    file.write_text(f"{text}\n", encoding="utf-8")

"""Reads and writes JSON files of lists that are made from the installed LiteLLM, so that nobody else needs it.

A file holds the lists of each supported version: {"1.106.2": {"names": [...]}, "1.110.2": {"names": [...]}}.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from importlib.metadata import version
from pathlib import Path


def read(file: Path, in_each: Collection[str] = ()) -> Mapping[str, frozenset[str]]:
    """Return the lists by their names: what any version lists, and for those `in_each` what each of them does."""
    versions = json.loads(file.read_text(encoding="utf-8")).values()
    return {
        name: reduce(
            frozenset.intersection if name in in_each else frozenset.union,
            (frozenset(lists[name]) for lists in versions),
        )
        for name in next(iter(versions))
    }


def of_installed(file: Path) -> Mapping[str, Sequence[str]]:
    """Return the lists of the version of LiteLLM that is installed, none where it isn't in the file."""
    lists: Mapping[str, Sequence[str]] = json.loads(file.read_text(encoding="utf-8")).get(
        version("litellm"), {}
    )
    return lists


def write(file: Path, lists: Mapping[str, Sequence[str]]) -> None:
    """Write the lists of the installed LiteLLM, and leave those of other versions as they are."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(known | {version("litellm"): lists}, indent=1) + "\n", encoding="utf-8")

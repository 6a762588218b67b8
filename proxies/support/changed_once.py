"""Changes functions of libraries that are loaded in this process, each once."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

CHANGED = "changed_by_memory_proxy"
"""The attribute of a function that stands for a library's own."""


def loaded(module: str, name: str | None = None) -> Any:
    """Return a module, or what it has under `name`, without importing anything; None where it isn't there."""
    found = sys.modules.get(module)
    return found if name is None else getattr(found, name, None)


def change(
    owner: Any, name: str, changed: Callable[[Any], Any], kind: Callable[[Any], Any] | None = None
) -> None:
    """Put what `changed` makes of a function in its place in `owner`, once; nothing where either is missing.

    `kind` is for what isn't a method: `staticmethod`.
    """
    original = None if owner is None else getattr(owner, name, None)
    if original is None or hasattr(original, CHANGED):
        return
    made = functools.wraps(original)(changed(original))
    setattr(made, CHANGED, True)
    setattr(owner, name, kind(made) if kind else made)

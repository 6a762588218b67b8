"""Marks the tests that start a real LiteLLM process."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest


def marked_live(items: Iterable[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    """Mark the items below `folder` as `live` and yield each: they need LiteLLM's proxy, and wait for it to come up."""
    missing = [name for name in ("litellm", "prisma") if importlib.util.find_spec(name) is None]
    needed = pytest.mark.skipif(
        bool(missing), reason=f"needs {' and '.join(missing)}: pip install 'proxy-parity[live]'"
    )
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(180))
            item.add_marker(needed)
            yield item

"""Memory that the garbage collector is not to look through."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from proxies.support.collector import settle


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("thawed")
def test_what_is_loaded_is_looked_at_no_more() -> None:
    """What there is when a process begins to serve is out of the collector's sight, what comes later isn't."""
    settle()
    assert gc.get_freeze_count() > 1000
    later: list[object] = []
    assert any(seen is later for seen in gc.get_objects())

"""The scene of every test here, up for the whole session; under xdist each worker has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.providers import hostile
from tests.attacks.providers.hostile import Scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with hostile.scene(tmp_path_factory.mktemp("hostile")) as running:
        yield running
        assert running.trap.requests == []

"""The scene of every test here, up for the whole session; under xdist each worker has its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.providers import hostile
from tests.attacks.providers.hostile import Scene


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder is `live`, needs LiteLLM's proxy, and may wait for it to come up."""
    missing = [name for name in ("litellm", "prisma") if importlib.util.find_spec(name) is None]
    needed = pytest.mark.skipif(
        bool(missing), reason=f"needs {' and '.join(missing)}: pip install 'proxy-parity[live]'"
    )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.timeout(180))
            item.add_marker(needed)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with hostile.scene(tmp_path_factory.mktemp("hostile")) as running:
        yield running
        assert running.trap.requests == []

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxies.redact import scoped_secrets


@pytest.fixture(autouse=True)
def secrets_of_its_own() -> Iterator[None]:
    """A key that one test's configuration holds is no secret in the next one's log lines."""
    with scoped_secrets():
        yield

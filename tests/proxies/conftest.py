from __future__ import annotations

import pytest

from tests.upstream import Upstream


@pytest.fixture
def litellm() -> Upstream:
    """Stands for the LiteLLM process of the binary proxy."""
    return Upstream()


@pytest.fixture
def provider() -> Upstream:
    """Stands for the provider of the sdk proxy."""
    return Upstream()

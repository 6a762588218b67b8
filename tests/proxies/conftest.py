from __future__ import annotations

import pytest

from proxies.sessions import LiteLLMSessionManager, ProxySessionManager
from tests.proxies.upstream import Play, player


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Makes a handler the LiteLLM process of the binary proxy."""
    return player(ProxySessionManager, monkeypatch)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Makes a handler the provider of the sdk proxy."""
    return player(LiteLLMSessionManager, monkeypatch)

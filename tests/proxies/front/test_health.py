"""What operators ask: the health of a proxy."""

from __future__ import annotations

import httpx

from proxies.front.app import build_app
from tests.proxies.front.fakes import FakeBackend, make_config


async def test_health_counts_sessions_when_asked() -> None:
    """The number of clients is told to who asks for it, and nothing about them."""
    app = build_app(make_config(), FakeBackend())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        assert (await client.get("/health")).json() == {"status": "healthy"}
        told = (await client.get("/health?sessions")).json()
    assert told == {"status": "healthy", "sessions": {"open": 2, "upstreams": 1, "limit": 3}}

"""A live stack says what kept a proxy from serving, so that nobody takes a gap for what a proxy does."""

from __future__ import annotations

import asyncio

import httpx

from parity.targets.stack import gap
from proxies.front.observing.metrics import Metrics


async def metrics_of(restarts: int) -> bytes:
    return Metrics(dict, lambda: restarts).text()


def proxy(ready: httpx.Response | None = None, restarts: int = 0) -> httpx.Client:
    """A client of a proxy with real metrics; without `ready` nobody listens."""
    metrics = asyncio.run(metrics_of(restarts))

    def answer(request: httpx.Request) -> httpx.Response:
        if ready is None:
            raise httpx.ConnectError("refused", request=request)
        return ready if request.url.path == "/health/readiness" else httpx.Response(200, content=metrics)

    return httpx.Client(base_url="http://proxy.test", transport=httpx.MockTransport(answer))


def test_a_proxy_that_served_all_the_time_has_no_gap() -> None:
    assert gap("binary", proxy(httpx.Response(200, json={"status": "ready"}))) == ""


def test_a_restart_of_litellm_is_told() -> None:
    """What was played meanwhile failed for a reason that isn't the proxy's."""
    said = gap("binary", proxy(httpx.Response(200, json={"status": "ready"}), restarts=2))
    assert "memory-proxy binary started its LiteLLM process again during the run (2x)" in said


def test_a_litellm_that_is_still_away_is_told_with_its_reason() -> None:
    said = gap("binary", proxy(httpx.Response(503, json={"error": {"message": "Not ready: killed"}})))
    assert "memory-proxy binary isn't ready" in said
    assert "Not ready: killed" in said


def test_a_proxy_that_has_gone_is_told() -> None:
    assert gap("sdk", proxy()) == "memory-proxy sdk no longer answers at the end of the run: ConnectError"

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.front.health import CONTENT_TYPE
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config
from tests.root import ROOT

AUTH = {"authorization": f"Bearer {KEY}"}
CHAT = "/v1/chat/completions"
ASKED = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
FAMILIES = {
    "memory_proxy_requests": "counter",
    "memory_proxy_request_seconds": "histogram",
    "memory_proxy_upstream_seconds": "histogram",
    "memory_proxy_time_to_first_token_seconds": "histogram",
    "memory_proxy_overhead_seconds": "histogram",
    "memory_proxy_memory_lookups": "counter",
    "memory_proxy_memory_seconds": "histogram",
    "memory_proxy_requests_in_flight": "gauge",
    "memory_proxy_open_streams": "gauge",
    "memory_proxy_tasks": "gauge",
    "memory_proxy_sessions": "gauge",
    "memory_proxy_session_upstreams": "gauge",
    "memory_proxy_litellm_restarts": "gauge",
    "memory_proxy_workers": "gauge",
}


class Client(httpx.AsyncClient):
    """Of an app on a fake backend; `samples()` are its metrics, `text` as they were sent."""

    def __init__(self, backend: FakeBackend | None = None, **sections: Any) -> None:
        self.app = build_app(make_config(**sections), backend or FakeBackend(reply={}))
        super().__init__(transport=httpx.ASGITransport(self.app), base_url="http://proxy", headers=AUTH)
        self.text = ""

    async def samples(self) -> dict[str, float]:
        """Values by `name label label …`, labels by their names' order; buckets left out."""
        self.text = (await self.get("/metrics")).text
        return {
            " ".join((sample.name, *(value for _, value in sorted(sample.labels.items())))): sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if not sample.name.endswith("_bucket")
        }


async def test_families() -> None:
    """Every family is there before anything was served, with its type, and no series says when it began."""
    async with Client() as client:
        answer = await client.get("/metrics")
    families = {family.name: family.type for family in text_string_to_metric_families(answer.text)}
    own = {name: kind for name, kind in families.items() if name.startswith("memory_proxy")}
    assert own == FAMILIES
    assert "_created" not in answer.text
    assert answer.headers["content-type"] == CONTENT_TYPE


def test_they_are_documented() -> None:
    """docs/operations.md lists the families as Prometheus shows them, all of them and no others."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `memory_proxy_"))
    shown = {name + "_total" * (kind == "counter") for name, kind in FAMILIES.items()}
    assert set(re.findall(r"`(\w+)`", rows)) == shown


async def test_a_plain_answer() -> None:
    """One request, its time, its upstream time and our own part; no first token."""
    async with Client() as client:
        await client.post(CHAT, json=ASKED)
        seen = await client.samples()
    assert seen[f"memory_proxy_requests_total fast ok {CHAT} 200"] == 1
    assert seen[f"memory_proxy_request_seconds_count {CHAT}"] == 1
    assert seen[f"memory_proxy_upstream_seconds_count fast {CHAT}"] == 1
    assert seen[f"memory_proxy_overhead_seconds_count {CHAT}"] == 1
    assert not [name for name in seen if name.startswith("memory_proxy_time_to_first_token_seconds_")]


async def test_a_stream() -> None:
    """While it is open it is in flight; its first token counts when it is sent, and upstream until its end."""
    wait = asyncio.Event()
    async with Client(FakeBackend(chunks=[{"a": 1}, wait, {"b": 2}])) as client:
        body = b'{"model":"fast","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        exchange = Exchange(client.app, CHAT, body, AUTH)
        assert (await exchange.message())["status"] == 200
        assert b"a" in (await exchange.message())["body"]
        during = await client.samples()
        await asyncio.sleep(0.05)
        wait.set()
        await exchange.end()
        after = await client.samples()
    under_way = ("memory_proxy_requests_in_flight", "memory_proxy_open_streams")
    assert [during[name] for name in under_way] == [1, 1]
    assert [after[name] for name in under_way] == [0, 0]
    assert during["memory_proxy_tasks"] > after["memory_proxy_tasks"]
    first = after[f"memory_proxy_time_to_first_token_seconds_sum fast {CHAT}"]
    total = after[f"memory_proxy_request_seconds_sum {CHAT}"]
    assert 0 < first <= total - 0.05
    assert 0.05 <= after[f"memory_proxy_upstream_seconds_sum fast {CHAT}"] <= total
    assert after[f"memory_proxy_overhead_seconds_sum {CHAT}"] <= total - 0.05


async def test_a_client_that_goes_away() -> None:
    """It counts as 499 and leaves nothing in flight."""
    backend = FakeBackend(hang=True)
    async with Client(backend) as client:
        body = b'{"model":"fast","messages":[{"role":"user","content":"hi"}]}'
        exchange = Exchange(client.app, CHAT, body, AUTH)
        await asyncio.wait_for(backend.called.wait(), 5)
        assert (await client.samples())["memory_proxy_requests_in_flight"] == 1
        exchange.disconnect()
        assert await exchange.end() == []
        seen = await client.samples()
    assert seen[f"memory_proxy_requests_total fast client_disconnected {CHAT} 499"] == 1
    assert seen["memory_proxy_requests_in_flight"] == 0


async def test_labels_are_bounded() -> None:
    """However many models, paths, ids and keys clients make up, the series stay the same few."""
    async with Client() as client:
        counts = []
        for start in (0, 50):
            for number in range(start, start + 20):
                made_up = {**ASKED, "model": f"made-up-{number}"}
                await client.post(CHAT, json=made_up, headers={"x-request-id": f"made-up-{number}"})
                await client.get(f"/made-up-{number}")
                await client.get(f"/v1/files/made-up-{number}?made-up", headers={"authorization": "made-up"})
                await client.post(CHAT, json=ASKED, headers={"x-memory-user-id": f"made-up-{number}"})
            counts.append(len(await client.samples()))
        seen = await client.samples()
    assert counts[0] + 1 == counts[1]  # /metrics itself was asked in between
    assert "made-up" not in client.text
    assert seen[f"memory_proxy_requests_total unknown failed {CHAT} 404"] == 40
    assert seen["memory_proxy_requests_total  failed none 404"] == 40
    assert seen["memory_proxy_requests_total  failed /v1/files/{rest} 401"] == 40


async def test_each_app_counts_for_itself() -> None:
    """Two apps in one process share no number."""
    async with Client() as one, Client() as other:
        await one.post(CHAT, json=ASKED)
        name = f"memory_proxy_requests_total fast ok {CHAT} 200"
        assert (await one.samples())[name] == 1
        assert name not in await other.samples()


async def test_memories(tmp_path: Path) -> None:
    """What came of looking them up is counted, and timed unless it was skipped; without retrieval nothing is."""
    memories = {"enabled": True, "store": "embedded", "path": str(tmp_path / "memory.db")}
    async with Client(context_retrieval=memories) as client:
        await client.post(CHAT, json=ASKED)
        await client.post(CHAT, json=ASKED, headers={"x-memory": "off"})
        seen = await client.samples()
    assert seen["memory_proxy_memory_lookups_total miss"] == 1
    assert seen["memory_proxy_memory_lookups_total skipped"] == 1
    assert seen["memory_proxy_memory_seconds_count"] == 1
    async with Client() as client:
        await client.post(CHAT, json=ASKED)
        seen = await client.samples()
    assert seen["memory_proxy_memory_seconds_count"] == 0
    assert not [name for name in seen if name.startswith("memory_proxy_memory_lookups_total")]


async def test_sessions() -> None:
    """How many clients the backend keeps, for how many upstreams."""
    async with Client() as client:
        seen = await client.samples()
    assert (seen["memory_proxy_sessions"], seen["memory_proxy_session_upstreams"]) == (2, 1)


async def test_restarts() -> None:
    """How often the backend had to start its LiteLLM process again."""
    async with Client() as client:
        seen = await client.samples()
    assert seen["memory_proxy_litellm_restarts"] == 4


async def test_failures() -> None:
    """A status that the provider answered is counted as the client got it."""
    async with Client(FakeBackend(error=ProxyError(429, "slow down"))) as client:
        await client.post(CHAT, json=ASKED)
        seen = await client.samples()
    assert seen[f"memory_proxy_requests_total fast failed {CHAT} 429"] == 1
    assert seen[f"memory_proxy_upstream_seconds_count fast {CHAT}"] == 1


async def test_what_asks_about_the_proxy_is_no_traffic() -> None:
    """Probes and scrapes are counted as requests, and change no time."""
    async with Client() as client:
        await client.get("/health")
        seen = await client.samples()
    assert seen["memory_proxy_requests_total  ok /health 200"] == 1
    assert not [name for name in seen if name.startswith("memory_proxy_request_seconds")]


@pytest.mark.parametrize(("wanted", "status"), [(True, 401), (False, 200), (None, 200)])
async def test_the_key_where_it_is_asked_for(wanted: bool | None, status: int) -> None:
    """`require_auth_for_metrics_endpoint` closes the route; with the key it opens in any case."""
    async with Client(litellm_settings={"require_auth_for_metrics_endpoint": wanted}) as client:
        assert (await client.get("/metrics", headers={"authorization": "Bearer no"})).status_code == status
        assert (await client.get("/metrics")).status_code == 200

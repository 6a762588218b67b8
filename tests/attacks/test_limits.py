"""Attacks by size, by speed and by number: whoever else asks meanwhile is served at once."""

from __future__ import annotations

import importlib.util
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from parity.targets.arms import ARMS, Arm
from tests.attacks.pressure import COMPLAIN, KEY, Provider, Watch, serving

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("litellm", "prisma")),
        reason="needs litellm and prisma: pip install 'proxy-parity[live]'",
    ),
]

AT_MOST = 0.2
"""Seconds for `/health`, whatever somebody else does."""
WITHIN = 1.0
"""Seconds for a provider's call to be closed when its client has left."""
BUSY = 3
"""How much slower a machine may be on which other tests run."""
CONNECTIONS = 100
FLOODED = 2 * 1024 * 1024
"""Bytes of a stream after which it is in full flow."""
AUTH = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
HELLO = {"model": "openai", "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class Attacked:
    """A proxy under attack, and the provider behind it."""

    url: str
    provider: Provider

    def ask(self, path: str, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}{path}", content=content, headers=AUTH, timeout=100, trust_env=False)

    def connect(self) -> socket.socket:
        at = urlsplit(self.url)
        return socket.create_connection((at.hostname, at.port), timeout=60)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Attacked]]:
    """Both proxies, warm on each route that is attacked."""
    with serving(tmp_path_factory.mktemp("limits"), max_connections=CONNECTIONS) as (urls, provider):
        attacked = {arm: Attacked(url, provider) for arm, url in urls.items()}
        for proxy in attacked.values():
            for model in ("openai", "claude"):
                for path in ("/v1/chat/completions", "/v1/messages"):
                    assert proxy.ask(path, {**HELLO, "model": model, "max_tokens": 5}).status_code == 200
        yield attacked


@pytest.fixture(params=ARMS)
def proxy(request: pytest.FixtureRequest, proxies: dict[str, Attacked]) -> Attacked:
    arm: Arm = request.param
    return proxies[arm]


def doubling(depth: int) -> dict[str, Any]:
    known = {
        f"d{n}": {"properties": {side: {"$ref": f"#/$defs/d{n + 1}"} for side in "ab"}} for n in range(depth)
    }
    return {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}},
        "$defs": {**known, f"d{depth}": {}},
    }


def tool(number: int, schema: Any = None) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": f"f{number}", "parameters": schema or {"type": "object"}},
    }


HI = HELLO["messages"]
REFUSED = {
    "messages": {"messages": [{"role": "user", "content": "Hi"}] * 100_000},
    "more_messages": {"messages": [{"role": "user", "content": "Hi"}] * 200_000},
    "malformed": {"messages": [{"role": 5}] * 200_000},
    "no_messages": {"messages": [5] * 200_000},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 90_000}]},
    "tools": {"messages": HI, "tools": [tool(n) for n in range(200_000)]},
    "schema": {"messages": HI, "tools": [tool(1, doubling(16))]},
    "answers_schema": {
        "messages": HI,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": doubling(16)}},
    },
}


@pytest.mark.parametrize("case", REFUSED)
def test_too_much_is_refused_at_once(proxy: Attacked, case: str) -> None:
    """A 400 that says the number, no call, and `/health` answers meanwhile."""
    calls = proxy.provider.calls
    body = json.dumps({"model": "claude", **REFUSED[case]}).encode()
    with Watch(proxy.url).running() as watch:
        answer = proxy.ask("/v1/chat/completions", body)
    assert answer.status_code == 400
    assert "at most" in answer.text or "more than" in answer.text
    assert proxy.provider.calls == calls
    assert watch.slowest < AT_MOST * BUSY


@pytest.mark.parametrize("model", ["openai", "claude"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_as_much_as_may_be_keeps_nobody_waiting(proxy: Attacked, path: str, model: str) -> None:
    """The most messages and tools that are allowed reach the provider, and `/health` answers meanwhile."""
    body: dict[str, Any] = {"model": model, "max_tokens": 5, "messages": HI * 2048}
    with Watch(proxy.url).running() as watch:
        assert proxy.ask(path, body).status_code == 200
    assert watch.slowest < AT_MOST * BUSY


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/messages", "claude"),
        ("/v1/messages", "openai"),
        ("/v1/responses", "openai"),
        ("/v1/responses", "claude"),
    ],
)
def test_a_stream_does_not_outlive_its_client(proxy: Attacked, path: str, model: str) -> None:
    """The provider sends as fast as it can; when the client has left it is closed, and the next user is served."""
    with Watch(proxy.url).running() as watch, proxy.connect() as client:
        client.sendall(streamed(path, model))
        received = 0
        deadline = time.monotonic() + 60
        while received < FLOODED:
            assert time.monotonic() < deadline, "the stream never got going"
            received += len(client.recv(65536))
        client.close()
        left = time.monotonic()
        assert proxy.ask("/v1/chat/completions", HELLO).status_code == 200
        served = time.monotonic() - left
        closed = closed_after(proxy.provider, left)
    assert closed < WITHIN * BUSY
    assert served < WITHIN * BUSY
    assert watch.slowest < AT_MOST * BUSY


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
@pytest.mark.parametrize("model", ["openai", "claude"])
def test_a_long_refusal_keeps_nobody_waiting(proxy: Attacked, path: str, model: str, stream: bool) -> None:
    """A provider may quote a whole request in its error: nobody waits while that is looked through."""
    asked = {"input": COMPLAIN} if path == "/v1/responses" else {"messages": [{**HI[0], "content": COMPLAIN}]}
    with Watch(proxy.url).running() as watch:
        answer = proxy.ask(path, {**asked, "model": model, "max_tokens": 5, "stream": stream})
        began = time.monotonic()
        assert proxy.ask("/v1/chat/completions", HELLO).status_code == 200
        assert time.monotonic() - began < WITHIN
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("That is wrong. That is wrong.")
    assert len(answer.content) < 10_000
    assert watch.slowest < AT_MOST * BUSY


def test_who_reads_nothing_is_sent_no_more(proxy: Attacked) -> None:
    """The provider has to wait, the next user is served, and the call is closed when the client leaves."""
    with Watch(proxy.url).running() as watch, proxy.connect() as client:
        client.sendall(streamed())
        wait_until_blocked(proxy.provider)
        began = time.monotonic()
        assert proxy.ask("/v1/chat/completions", HELLO).status_code == 200
        served = time.monotonic() - began
        client.close()
        closed = closed_after(proxy.provider, time.monotonic())
    assert served < WITHIN * BUSY
    assert closed < WITHIN * BUSY
    assert watch.slowest < AT_MOST * BUSY


def test_idle_connections_lock_nobody_out(proxy: Attacked) -> None:
    """More than there are places, each of which asked `/health` once without a key: a newcomer is served at once."""
    with ExitStack() as opened:
        for _ in range(2 * CONNECTIONS):
            idle = opened.enter_context(proxy.connect())
            idle.sendall(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        assert proxy.ask("/v1/chat/completions", HELLO).status_code == 200
        assert time.monotonic() - began < WITHIN * BUSY


def wait_until_blocked(provider: Provider) -> None:
    """Return when the last flood has been waiting for its reader for a second; fails after a minute."""
    deadline = time.monotonic() + 60
    while not (provider.floods and provider.floods[-1].waits_for(1.0)):
        assert time.monotonic() < deadline, "the provider never had to wait"
        time.sleep(0.02)


def streamed(path: str = "/v1/chat/completions", model: str = "openai") -> bytes:
    asked = {"input": "Hi"} if path == "/v1/responses" else {**HELLO, "max_tokens": 5}
    body = json.dumps({**asked, "model": model, "stream": True}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {KEY}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def closed_after(provider: Provider, left: float) -> float:
    """Seconds from `left` to the end of the last flood; 60 when it doesn't come."""
    flood = provider.floods[-1]
    while flood.ended is None:
        if time.monotonic() - left > 60:
            return 60
        time.sleep(0.02)
    return flood.ended - left

from __future__ import annotations

from typing import Any

import httpx
import pytest

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.observation.model import UpstreamCall
from parity.provider.memory import MEMORY_KEY, ReplayedMemory, is_memory, leaks, settings

URL = "http://provider.invalid/sdk/a.b%5B1%5D/memory/v4/profile"


def scenario(**deployment: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "id": "a.b",
            "title": "A promise.",
            "deployment": deployment,
            "client": [{"path": "/health"}],
            "expect": {"responses": [{}]},
        }
    )


class Elsewhere(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text="elsewhere")


class Played:
    """A store with these replies, and a client of it."""

    def __init__(self, *replies: ProviderReply) -> None:
        self.seen: list[UpstreamCall] = []
        self.faults: list[str] = []
        self._transport = ReplayedMemory(replies, Elsewhere(), self.seen, self.faults)

    async def ask(self, url: str = URL, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport) as client:
            return await client.post(url, json={"q": "?"}, **options)


async def test_replies_come_in_order() -> None:
    """The i-th lookup gets the i-th reply, the last one repeats; each lookup is noted."""
    played = Played(
        ProviderReply(json={"n": 1}), ProviderReply(status=404, text="gone", headers={"x-a": "b"})
    )
    answers = [await played.ask() for _ in range(3)]
    assert [(a.status_code, a.text) for a in answers] == [(200, '{"n":1}'), (404, "gone"), (404, "gone")]
    assert answers[1].headers["x-a"] == "b"
    assert [(call.route, call.body) for call in played.seen] == [("POST /v4/profile", {"q": "?"})] * 3
    assert played.faults == []


async def test_only_the_store_is_played() -> None:
    """What goes to another address goes on, unnoticed."""
    played = Played()
    assert (await played.ask("http://provider.invalid/sdk/a.b/v1/messages")).text == "elsewhere"
    assert played.seen == []


async def test_an_unexpected_lookup_is_a_fault() -> None:
    """A scenario without memories is one in which nobody asks for any."""
    played = Played()
    with pytest.raises(httpx.ConnectError):
        await played.ask()
    assert played.faults == ["the memory store was asked POST /v4/profile, and the scenario has no memories"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (ProviderReply(fault="reset"), httpx.ReadError),
        (ProviderReply(fault="hang"), httpx.ReadTimeout),
        (ProviderReply(delay=2, json={}), httpx.ReadTimeout),
    ],
)
async def test_failures(reply: ProviderReply, error: type[Exception]) -> None:
    """Faults raise what httpx raises, a delay only where it outlasts the caller's patience."""
    with pytest.raises(error):
        await Played(reply).ask(timeout=1)
    if reply.fault is None:
        assert (await Played(reply).ask(timeout=5)).status_code == 200


async def test_a_refused_store() -> None:
    """Nobody listens at the address that refuses, and so nothing is noted."""
    played = Played(ProviderReply(json={}))
    with pytest.raises(httpx.ConnectError):
        await played.ask(URL.replace("provider.", "refused."))
    assert (played.seen, played.faults) == ([], [])


def test_settings() -> None:
    """Only a scenario that wants memories has any; its own keys win over the harness's."""
    base = "http://provider.invalid/sdk/a.b"
    assert settings(scenario(), base) == {}
    made = {"enabled": True, "base_url": f"{base}/memory", "api_key": MEMORY_KEY}
    assert settings(scenario(memory={}), base) == made
    assert settings(scenario(memory={"enabled": False}), base) == {**made, "enabled": False}


def test_where_the_store_is() -> None:
    """A lookup is told from a call of a provider or of LiteLLM by its address."""
    assert is_memory(httpx.Request("POST", URL))
    for other in ("http://litellm.invalid/v1/messages", "http://provider.invalid/sdk/a.b/v1/messages"):
        assert not is_memory(httpx.Request("POST", other))


def test_leaks() -> None:
    """The store's key is found however deep it lies."""
    assert list(leaks("the client", {"a": [f"Bearer {MEMORY_KEY}"]}, "nothing")) == [
        "the key of the memory store reached the client"
    ]

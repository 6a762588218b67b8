"""Clients that share the default user's memories: told at the start, while serving, and to whoever asks."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from asgi_lifespan import LifespanManager

from proxies.config.clients import CLIENTS
from proxies.config.models import DEFAULT_PATTERNS, UserIdMappings
from proxies.front.app import build_app
from proxies.memory.routing import route
from proxies.memory.sharing import MAX_KINDS, DefaultUser, sharing
from tests.proxies.front.fakes import KEY, FakeBackend, make_config
from tests.root import ROOT

NOBODY_KNOWN = {"header_patterns": [{"header": "x-none", "pattern": "x", "user_id": "x"}]}
STORE = {"enabled": True, "store": "embedded", "path": "memory.db"}
ASKED = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_each_client_has_its_user(client: Any) -> None:
    """What a client sends is found by its own row, and by no earlier one."""
    found = route({"user-agent": client.agent}, UserIdMappings())
    assert (found.user_id, found.is_default) == (client.user_id, False)
    assert found.matched_pattern is not None
    assert found.matched_pattern.pattern == client.pattern


@pytest.mark.parametrize(
    "agent", ["curl/8", "my OpenAI/JS", "Cliney/1", "Zedd/1", "xai-sdk/1", "python-requests/2", "Continue"]
)
def test_others_have_none(agent: str) -> None:
    """A name that only looks alike is nobody's."""
    assert route({"user-agent": agent}, UserIdMappings()).is_default


@pytest.mark.parametrize("page", ["docs/contract.md", "docs/clients.md", "examples/config.yaml"])
def test_the_pages_name_every_user(page: str) -> None:
    """Nobody has to read the code to know as whom a client counts."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [row.user_id for row in DEFAULT_PATTERNS if row.user_id not in text] == []
    if page != "docs/clients.md":
        shown = text.replace("\\|", "|")
        assert [row.pattern for row in DEFAULT_PATTERNS if row.pattern not in shown] == []


def test_with_the_default_patterns_no_known_client_shares() -> None:
    """With others, those that they leave out do."""
    assert sharing(make_config()) == []
    assert "Zed" in sharing(make_config(user_id_mappings=NOBODY_KNOWN))


async def _started(caplog: pytest.LogCaptureFixture, **sections: Any) -> str:
    with caplog.at_level(logging.WARNING, "proxies.memory"):
        async with LifespanManager(build_app(make_config(**sections), FakeBackend())):
            pass
    return caplog.text


async def test_a_start_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Once, naming the clients and what to do."""
    text = await _started(caplog, user_id_mappings=NOBODY_KNOWN)
    assert "share the memories of 'default-dev'" in text
    assert "Zed" in text
    assert "x-memory-user-id" in text
    assert len(caplog.records) == 1


async def test_a_start_says_nothing_without_need(caplog: pytest.LogCaptureFixture) -> None:
    """Neither when the patterns know the clients, nor when nothing is remembered of anybody."""
    assert await _started(caplog) == ""
    plain = [{"model_name": "m", "litellm_params": {"model": "openai/m"}}]
    assert await _started(caplog, user_id_mappings=NOBODY_KNOWN, model_list=plain) == ""


async def _info_after(*asked: tuple[str, str], **sections: Any) -> dict[str, Any]:
    app = build_app(make_config(**sections), FakeBackend(reply={"id": "1"}))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://proxy",
        headers={"authorization": f"Bearer {KEY}"},
    ) as client:
        for agent, model in asked:
            answer = await client.post(
                "/v1/chat/completions", json={**ASKED, "model": model}, headers={"user-agent": agent}
            )
            assert answer.status_code == 200
        info: dict[str, Any] = (
            await client.get("/memory-routing/info", headers={"user-agent": "curl/8"})
        ).json()
        return info


async def test_info_tells_that_several_share(caplog: pytest.LogCaptureFixture) -> None:
    """And the log has one warning, however many come."""
    with caplog.at_level(logging.WARNING, "proxies.memory"):
        info = await _info_after(
            ("curl/8", "remembered"), ("Cursor/1", "remembered"), ("wget/1", "remembered")
        )
    assert info["default_is_shared"] is True
    assert "curl, cursor" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "asked",
    [
        [("curl/8", "remembered"), ("curl/9", "remembered")],
        [("curl/8", "remembered"), ("Zed/1", "remembered")],
        [("curl/8", "fast"), ("Cursor/1", "fast")],
        [("curl/8", "remembered"), ("Cursor/1", "fast")],
    ],
    ids=["one kind", "a user of its own", "nothing is remembered", "of one only"],
)
async def test_info_tells_nothing_else(asked: list[tuple[str, str]]) -> None:
    """Two versions of a client are one kind, and who isn't remembered shares nothing."""
    assert set(await _info_after(*asked)) == {
        "user_id",
        "matched_pattern",
        "custom_header_present",
        "is_default",
    }


def test_what_clients_send_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    """Neither names without end nor control characters reach the memory or the log."""
    config = make_config(context_retrieval=STORE)
    user = DefaultUser(config)
    with caplog.at_level(logging.WARNING, "proxies.memory"):
        for agent in ("\x1b[31mred", "x" * 5000, *(f"client-{n}" for n in range(100))):
            user.asked({"user-agent": agent}, config.group("fast"))
    [kinds] = user._kinds.values()
    assert len(kinds) == MAX_KINDS
    assert max(map(len, kinds)) <= 40
    assert "\x1b" not in caplog.text

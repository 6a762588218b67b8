"""Group 4: the session managers, as the proxies use them."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from parity.targets.arms import Arm
from parity.targets.deployments import LITELLM_URL
from proxies import sessions
from tests.promises.upstream import Upstream, ask, completion, proxy, said

MANAGERS = {"binary": "ProxySessionManager", "sdk": "LiteLLMSessionManager"}


@pytest.fixture
def manager(arm: Arm) -> type[Any]:
    """The class of session manager that the proxy under test has."""
    found: type[Any] = getattr(sessions, MANAGERS[arm])
    return found


async def test_a_user_has_one_session(manager: type[Any]) -> None:
    """Whoever asks, and however often: a user's session at an upstream is one and the same object."""
    managed = manager()
    try:
        first = await managed.get_session(LITELLM_URL, "ada")
        assert await managed.get_session(LITELLM_URL, "ada") is first
        assert await managed.get_session(f"{LITELLM_URL}/", "ada") is first
        assert await managed.get_session(LITELLM_URL, "grace") is not first
    finally:
        await managed.aclose()


async def test_a_cookie_persists(arm: Arm) -> None:
    """A cookie that came with one answer goes up with the user's next request, and is never shown to them."""
    upstream = Upstream(lambda *_: completion("Come in.", set_cookie="cf_clearance=passed; Path=/; HttpOnly"))
    async with proxy(arm, upstream) as client:
        first = await ask(client, "May I?")
        await ask(client, "Again?")
    assert said(first) == "Come in."
    assert "set-cookie" not in first.headers
    assert [r.headers.get("cookie") for r in upstream.requests] == [None, "cf_clearance=passed"]


async def test_cookies_across_calls(arm: Arm) -> None:
    """Over many calls cookies add up, the newest value wins, and another user has none of them."""
    cookies = iter(["a=1; Path=/", "b=1; Path=/", "a=2; Path=/"])

    def answer(request: httpx.Request, body: Any) -> httpx.Response:
        cookie = next(cookies, None)
        return completion("Yes.", **({"set_cookie": cookie} if cookie else {}))

    upstream = Upstream(answer)
    async with proxy(arm, upstream) as client:
        for user in ("ada", "ada", "ada", "ada", "grace"):
            await ask(client, "Hello?", x_memory_user_id=user)
    sent = [sorted(r.headers.get("cookie", "").split("; ")) for r in upstream.requests]
    assert sent == [[""], ["a=1"], ["a=1", "b=1"], ["a=2", "b=1"], [""]]


async def test_the_call_goes_through_the_session(arm: Arm, manager: type[Any]) -> None:
    """The call that costs money is made on the user's session: in the sdk proxy, it is LiteLLM that uses it."""
    asked: list[tuple[str, str]] = []
    real = manager.get_session

    async def noting(self: Any, upstream: str, user_id: str) -> httpx.AsyncClient:
        asked.append((upstream, user_id))
        session: httpx.AsyncClient = await real(self, upstream, user_id)
        session.headers["x-through-the-session"] = user_id
        return session

    upstream = Upstream()
    with patch.object(manager, "get_session", noting):
        async with proxy(arm, upstream) as client:
            await ask(client, "Hello?", x_memory_user_id="ada")
    assert [user for _, user in asked] == ["ada"]
    assert [r.headers.get("x-through-the-session") for r in upstream.requests] == ["ada"]


async def test_a_session_can_be_put_in_its_place(arm: Arm) -> None:
    """What `get_session` is patched to return is what the call is made on."""
    elsewhere = Upstream()
    async with httpx.AsyncClient(transport=elsewhere) as mine, proxy(arm, None) as client:
        with patch(f"proxies.sessions.{MANAGERS[arm]}.get_session", return_value=mine):
            answer = await ask(client, "Is this mine?")
    assert said(answer) == "Is this mine?"
    assert len(elsewhere.requests) == 1


async def test_concurrent_requests_share_a_session(arm: Arm) -> None:
    """Ten requests of one user at once open one session, and all ten are on their way before one is answered."""
    arrived = asyncio.Semaphore(0)
    all_there = asyncio.Event()

    async def answer(request: httpx.Request, body: Any) -> httpx.Response:
        arrived.release()
        await all_there.wait()
        return completion("Yes.")

    async with proxy(arm, Upstream(answer)) as client:
        asking = [asyncio.create_task(ask(client, "Hello?", x_memory_user_id="ada")) for _ in range(10)]
        async with asyncio.timeout(20):
            for _ in asking:
                await arrived.acquire()
            counted = (await client.get("/health?sessions")).json()["sessions"]
            all_there.set()
            answers = await asyncio.gather(*asking)
    assert [said(answered) for answered in answers] == ["Yes."] * 10
    assert (counted["open"], counted["upstreams"]) == (1, 1)

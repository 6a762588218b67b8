from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from proxies.config.memory import ContextRetrieval
from proxies.memory.store import Memories, Result, StoreError
from proxies.memory.supermemory import Supermemory, parse
from proxies.sessions import MemorySessionManager
from tests.upstream import Upstream

SETTINGS = ContextRetrieval(
    api_key="sm_test-key", base_url="http://memory.invalid/base/", container_tag="team:{user_id}"
)
Answer = Callable[[httpx.Request], httpx.Response]


class Store(Upstream):
    """Supermemory on an answer, and our side of it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.ours = self.sessions(MemorySessionManager)
        self.store = Supermemory(SETTINGS, self.ours)


async def test_the_request() -> None:
    """One POST says who asks what, with the key, and with nothing else of the client's."""
    made = Store(lambda request: httpx.Response(200, json={}))
    assert await made.store.search("Où?", "ann", 5) == Memories()
    await made.ours.aclose()
    [request] = made.requests
    assert (request.method, str(request.url)) == ("POST", "http://memory.invalid/base/v4/profile")
    assert json.loads(request.content) == {"q": "Où?", "containerTag": "team:ann"}
    assert request.headers["authorization"] == "Bearer sm_test-key"
    assert "cookie" not in request.headers


async def test_cookies_stay_with_their_user() -> None:
    """What the store sets for one user comes back from that user, and from no other."""
    made = Store(lambda r: httpx.Response(200, json={}, headers={"set-cookie": "a=b; Path=/"}))
    for user in ("ann", "bob", "ann"):
        await made.store.search("q", user, 5)
    await made.ours.aclose()
    assert [request.headers.get("cookie") for request in made.requests] == [None, None, "a=b"]


@pytest.mark.parametrize(
    ("answer", "memories"),
    [
        ({}, Memories()),
        ({"profile": None, "searchResults": None, "results": None}, Memories()),
        ({"profile": {"static": ["a"], "dynamic": [{"id": "1", "memory": " b "}]}}, Memories(("a", "b"))),
        (
            {"searchResults": {"results": [{"memory": "a", "similarity": 0.5}, {"chunk": "b"}], "total": 2}},
            Memories(results=(Result("a", 0.5), Result("b"))),
        ),
        ({"results": [{"content": "a", "score": 1}]}, Memories(results=(Result("a", 1.0),))),
        ({"profile": {"static": [None, 1, {}, "", {"memory": 7}]}}, Memories()),
        ({"results": [{"content": "a", "score": True}, "b"]}, Memories(results=(Result("a"), Result("b")))),
    ],
)
def test_every_shape(answer: Any, memories: Memories) -> None:
    """Whatever is there is read; what is missing or odd is left out."""
    assert parse(answer) == memories


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", 7, {"profile": []}, {"profile": {"static": "a"}}, {"searchResults": {"results": {}}}],
)
def test_another_shape_is_a_failure(answer: Any) -> None:
    """What isn't built like an answer is none."""
    with pytest.raises(StoreError, match=r"is no (object|list)"):
        parse(answer)


def raising(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda r: httpx.Response(401, json={"error": "bad key sm_test-key"}), "it answered 401"),
        (lambda r: httpx.Response(429), "it answered 429"),
        (lambda r: httpx.Response(302, headers={"location": "http://elsewhere.invalid/"}), "it answered 502"),
        (lambda r: httpx.Response(200, text="<html>"), "its answer is no JSON"),
        (lambda r: httpx.Response(200, content=b"\xff\xfe\x00"), "its answer is no JSON"),
        (lambda r: httpx.Response(200, content=b"[" * 100_000), "its answer is no JSON"),
        (raising(httpx.ReadTimeout("")), "no answer within 5 s"),
        (raising(httpx.ConnectError("refused")), "ConnectError: refused"),
        (raising(httpx.RemoteProtocolError("gone")), "RemoteProtocolError: gone"),
    ],
)
async def test_failures_are_one_kind(answer: Answer, said: str) -> None:
    """However the store fails, its caller hears a reason without key or question."""
    made = Store(answer)
    with pytest.raises(StoreError, match=f"^{said}$"):
        await made.store.search("q", "ann", 5)
    await made.ours.aclose()


async def test_a_user_without_memories() -> None:
    """404 says that nothing was ever stored for this user."""
    made = Store(lambda r: httpx.Response(404, text="not found"))
    assert await made.store.search("q", "ann", 5) == Memories()
    await made.ours.aclose()

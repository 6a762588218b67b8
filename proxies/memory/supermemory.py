"""Supermemory over HTTP: POST {base}/v4/profile, scoped by a container tag per user.

    {"profile": {"static": [fact], "dynamic": [fact]}, "searchResults": {"results": [result]}}
    {"results": [result]}                                             the older form
    fact    text, or an object with `memory`
    result  an object with `memory`, `chunk` or `content`, and `similarity` or `score`; or text

Every key may be missing or null. Headers that name a user are ignored there, so the tag is the only wall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from proxies.config.memory import USER_ID, ContextRetrieval
from proxies.memory.store import Memories, Result, StoreError
from proxies.sessions import MemorySessionManager

_TEXTS = ("memory", "chunk", "content")


class Supermemory:
    """A `Store`. The sessions are the caller's to close."""

    def __init__(self, settings: ContextRetrieval, sessions: MemorySessionManager) -> None:
        self._settings = settings
        self._sessions = sessions

    async def search(self, query: str, user_id: str, limit: int) -> Memories:
        base = self._settings.base_url
        session = await self._sessions.get_session(base, user_id)
        tag = self._settings.container_tag.replace(USER_ID, user_id)
        try:
            answer = await session.post(
                f"{base}/v4/profile",
                json={"q": query, "containerTag": tag},
                headers={"authorization": f"Bearer {self._settings.api_key}", "accept": "application/json"},
                timeout=self._settings.timeout,
            )
        except httpx.TimeoutException:
            raise StoreError(f"no answer within {self._settings.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreError(f"{type(error).__name__}: {error}") from None
        if answer.status_code == 404:  # a tag that nothing was ever stored under
            return Memories()
        if answer.status_code != 200:
            raise StoreError(f"it answered {answer.status_code}")
        try:
            return parse(answer.json())
        except (ValueError, RecursionError):
            raise StoreError("its answer is no JSON") from None

    async def remember(self, user_id: str, said: str, answered: str) -> None:
        """Supermemory is fed by what calls it, not from here."""

    async def check(self) -> None:
        """Return at once: the store is asked for memories alone."""

    def version(self) -> None:
        """Tell nothing: what the store forgets is not known here."""

    async def aclose(self) -> None:
        """The sessions are shared."""


def parse(answer: Any) -> Memories:
    """The memories in an answer. Raises `StoreError` when its shape is another; odd single items are left out."""
    top = _object(answer, "the answer")
    profile = _object(top.get("profile"), "profile")
    facts = [
        text
        for name in ("static", "dynamic")
        for item in _list(profile.get(name), f"profile.{name}")
        if (text := _text(item))
    ]
    found = _list(_object(top.get("searchResults"), "searchResults").get("results"), "searchResults.results")
    older = _list(top.get("results"), "results")
    return Memories(tuple(facts), tuple(_results([*found, *older])))


def _results(items: list[Any]) -> Iterator[Result]:
    for item in items:
        if text := _text(item):
            yield Result(text, _similarity(item) if isinstance(item, Mapping) else None)


def _similarity(item: Mapping[str, Any]) -> float | None:
    for name in ("similarity", "score"):
        value = item.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _text(item: Any) -> str:
    if isinstance(item, Mapping):
        item = next((item[name] for name in _TEXTS if isinstance(item.get(name), str)), None)
    return item.strip() if isinstance(item, str) else ""


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if value is None and name != "the answer":
        return {}
    if not isinstance(value, Mapping):
        raise StoreError(f"{name} is no object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise StoreError(f"{name} is no list")
    return value

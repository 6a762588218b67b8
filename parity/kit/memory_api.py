"""Mocks the memory store (Supermemory's API); a test tells it what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from parity.kit import samples
from parity.kit.client import MockAsyncClient
from parity.kit.http_answers import MockHTTPResponse
from parity.kit.mistakes import Notebook
from parity.kit.stubs import Asked, When
from parity.observation.model import UpstreamCall

MEMORY_URL = "http://supermemory.invalid"
MEMORY_KEY = "sm_kit-memory-key-0123456789"
PROFILE = ("v4/profile",)


class MockSupermemoryAPI:
    """Answers `POST /v4/profile`.

    `calls` has the requests: `body` is `{q, containerTag}`. Knows nothing at first.
    """

    def __init__(self, notebook: Notebook, name: str = "mock_supermemory_api") -> None:
        self.client = MockAsyncClient(notebook, name)
        self.client.stubs.fallback = _answer
        self.client.stubs.strict = False  # who isn't known has no memories
        self._name = name

    @property
    def calls(self) -> list[UpstreamCall]:
        return self.client.calls

    def remembers(
        self,
        *facts: str,
        recent: tuple[str, ...] = (),
        found: tuple[str, ...] = (),
        user_id: str | None = None,
    ) -> None:
        """Set what is known of a user, or of everyone: facts, what is recent, and what fits the question."""
        body = _profile(facts, recent, found)
        shown = f"remembers({', '.join(map(repr, (*facts, *recent, *found)))})"
        self._stub(shown, lambda asked: MockHTTPResponse(200, body), user_id)

    def fails(self, status: int = 500, *, user_id: str | None = None) -> None:
        """Fail every lookup, as when the memory store is in trouble."""
        body = {"error": "the store is out of order"}
        self._stub(f"fails({status})", lambda asked: MockHTTPResponse(status, body), user_id)

    def _stub(self, shown: str, answer: Any, user_id: str | None) -> None:
        when = None if user_id is None else When(body={"containerTag": user_id})
        self.client.stubs.add(shown, answer, when, PROFILE)


def _answer(asked: Asked) -> MockHTTPResponse | None:
    return MockHTTPResponse(200, _profile((), (), ())) if asked.endpoint in PROFILE else None


def _profile(static: tuple[str, ...], dynamic: tuple[str, ...], found: tuple[str, ...]) -> Mapping[str, Any]:
    recorded = samples.scenario("context.injection[dual]").memory[0].json_
    assert isinstance(recorded, dict)
    body: dict[str, Any] = deepcopy(recorded)
    body["profile"] = {"static": list(static), "dynamic": list(dynamic)}
    results = body["searchResults"]["results"]
    body["searchResults"]["results"] = [
        {**results[0], "id": f"mem_{number}", "memory": text} for number, text in enumerate(found, 1)
    ]
    return body

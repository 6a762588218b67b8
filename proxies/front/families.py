"""The families of other data routes below /v1, one row each: what a request of theirs may hold besides JSON.

A query parameter, a content type or a form that isn't in a row is refused: LiteLLM reads them all as parameters, so
whatever goes up has to be known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_PAGES = frozenset({"after", "before", "limit", "order"})
_INCLUDE = frozenset({"include", "include[]"})

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")

REPEATABLE = _INCLUDE
"""Query parameters that may come more than once."""


@dataclass(frozen=True, slots=True)
class Family:
    """Holds what one family takes.

    `query` are its query parameters, and `forms` a pattern of the places below it that take a form instead of JSON.
    `by_model` says that LiteLLM looks for the provider by the request's `model`, so it has to be a configured one.
    `by_id` says that below the family no model decides, but an id: it may tell LiteLLM any provider.
    `model_setting` is the key of `general_settings` without which a request has to have a `model`: LiteLLM would take
    one of its own and a key of the environment.
    `own` are parameters of its own that would steer LiteLLM elsewhere.
    """

    query: frozenset[str] = frozenset()
    forms: str | None = None
    by_model: bool = False
    by_id: bool = False
    model_setting: str | None = None
    own: frozenset[str] = frozenset()

    def needs_provider(self, method: str, below: str) -> bool:
        """Whether no model says which provider is meant, so that the configuration has to."""
        return not self.by_model or (self.by_id and (method != "POST" or below != ""))

    def takes_form(self, below: str) -> bool:
        """Whether the place `below` the family (`edits` of `/v1/images/edits`) takes a form."""
        return self.forms is not None and re.fullmatch(self.forms, below) is not None


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "assistants": Family(query=_PAGES),
        "audio": Family(forms="transcriptions|translations", by_model=True),
        "batches": Family(query=frozenset({"after", "limit"}), own=frozenset({"endpoint"})),
        "completions": Family(by_model=True),
        "containers": Family(query=_PAGES | {"name"}, forms="[^/]+/files"),
        "files": Family(query=_PAGES | {"purpose"}, forms=""),
        "fine_tuning": Family(query=frozenset({"after", "limit"})),
        "images": Family(forms="edits|variations", by_model=True),
        "moderations": Family(by_model=True, model_setting="moderation_model"),
        "rerank": Family(by_model=True),
        "responses": Family(
            query=_PAGES | _INCLUDE | {"include_obfuscation", "starting_after", "stream"}, by_model=True
        ),
        "threads": Family(query=_PAGES | _INCLUDE | {"run_id"}),
        "vector_stores": Family(query=_PAGES | _INCLUDE | {"filter"}),
        "videos": Family(
            query=_PAGES | {"variant"}, forms="|characters|edits|extensions", by_model=True, by_id=True
        ),
    }
)
"""The rows by the first part of their paths. LiteLLM's management routes are in none of them."""

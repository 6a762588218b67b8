"""The section `context_retrieval` of the configuration, and what a model may change of it."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

QueryStrategy = Literal["last_user", "first_user", "all_user", "last_assistant"]
InjectionStrategy = Literal["dual", "system", "user_prefix", "user_suffix"]

SUPERMEMORY_URL = "https://api.supermemory.ai"
USER_ID = "{user_id}"

_Count = Annotated[int, Field(ge=0, le=1000)]
_Length = Annotated[int, Field(ge=1, le=1_000_000)]
_Names = Annotated[tuple[str, ...], Field(strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelFilter(_Strict):
    """Which models memories are looked up for. Names may hold `*` and `?`; `deny` beats `allow`."""

    allow: _Names = ("*",)
    deny: _Names = ()

    def allows(self, model: str) -> bool:
        allowed = any(fnmatchcase(model, name) for name in self.allow)
        return allowed and not any(fnmatchcase(model, name) for name in self.deny)


class ContextRetrieval(_Strict):
    """Holds what is remembered, where it is looked up and where it goes. Lengths in characters, times in seconds."""

    enabled: bool = False
    store: Literal["supermemory", "embedded", "shared"] = "supermemory"
    base_url: str = SUPERMEMORY_URL
    api_key: str | None = Field(None, repr=False)
    container_tag: str = USER_ID
    path: str | None = Field(None, description="the embedded store's file")
    write_back: bool = Field(False, description="a store of our own learns from finished answers")
    query_strategy: QueryStrategy = "last_user"
    injection_strategy: InjectionStrategy = "dual"
    max_results: _Count = 5
    max_item_length: _Length = 500
    max_context_length: _Length = 4000
    min_similarity: Annotated[float, Field(ge=0, le=1)] = 0.0
    timeout: Annotated[float, Field(gt=0, le=600)] = 5.0
    models: ModelFilter = ModelFilter()

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            right = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"must be a URL such as {SUPERMEMORY_URL}")
        return value.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _travels(cls, value: str | None) -> str | None:
        if value is not None and not (value and value.isascii() and value.isprintable() and " " not in value):
            raise ValueError("must be printable ASCII without spaces, and not empty: it travels as a header")
        return value

    @field_validator("container_tag")
    @classmethod
    def _per_user(cls, value: str) -> str:
        if USER_ID not in value:
            raise ValueError(f"must contain {USER_ID}, or all users would share their memories")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ContextRetrieval:
        if not self.enabled:
            return self
        if self.store == "supermemory" and self.api_key is None:
            raise ValueError(
                "needs `api_key`, such as os.environ/SUPERMEMORY_API_KEY (or `store: embedded`, `store: shared`)"
            )
        if self.store == "embedded" and not self.path:
            raise ValueError("needs `path`, the file of the embedded store")
        if self.store == "supermemory" and self.write_back:
            raise ValueError("`write_back` is for `store: embedded` and `store: shared` only")
        return self

    def with_overrides(self, overrides: Mapping[str, Any]) -> ContextRetrieval:
        """A model's own settings over these. Raises `pydantic.ValidationError`."""
        return ContextRetrieval.model_validate({**self.model_dump(exclude_unset=True), **overrides})

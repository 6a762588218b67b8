"""Says what every dialect has: parameters with types, and a way to write its stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from proxies.errors import ProxyError


class Open(BaseModel):
    """Strict about what it knows; the rest is the provider's to judge."""

    model_config = ConfigDict(extra="allow", strict=True)


_KEPT = ("parameters", "schema", "reasoning", "provider_specific_fields")
"""Keys below which null is a value like others: JSON schemas, repeated settings, what LiteLLM adds of its own."""


def without_nulls(value: Any, under: str = "") -> Any:
    """`value` without the keys that are null, which one LiteLLM leaves out and another doesn't; `under` is its key.

    A message's `content` stays. Its `refusal` is put where OpenAI has it.
    """
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict) or under in _KEPT:
        return value
    kept = {key: without_nulls(item, key) for key, item in value.items() if item is not None}
    if under == "message" and "content" in value:
        kept.setdefault("content", None)
    if under in ("message", "delta"):
        _put_back_refusal(kept)
    return kept


def _put_back_refusal(message: dict[str, Any]) -> None:
    """Move a refusal out of `provider_specific_fields`, where LiteLLM up to 1.108 has it, and null for none."""
    fields = message.get("provider_specific_fields")
    if not isinstance(fields, dict) or "refusal" not in fields:
        return
    rest = {name: value for name, value in fields.items() if name != "refusal"}
    if rest:
        message["provider_specific_fields"] = rest
    else:
        del message["provider_specific_fields"]
    if fields["refusal"] is not None:
        message.setdefault("refusal", fields["refusal"])


def without_guess(usage: dict[str, Any], name: str) -> dict[str, Any]:
    """The usage of an answer with thoughts, without the counts of these and of words where nobody gave them.

    LiteLLM is told 0 then (`proxies.claude_messages`). `name` is what the dialect calls the details.
    """
    details = usage.get(name)
    if not isinstance(details, dict) or details.get("reasoning_tokens") or "text_tokens" not in details:
        return usage
    given = {key: v for key, v in details.items() if key not in ("reasoning_tokens", "text_tokens")}
    kept = {key: v for key, v in usage.items() if key != name}
    return {**kept, name: given} if any(v is not None for v in given.values()) else kept


class Framing(Protocol):
    """How a route writes its stream: a chunk, a failure in the middle, the end."""

    @property
    def end(self) -> bytes: ...

    def checked(self, chunks: AsyncIterator[dict[str, Any]], model: str) -> AsyncIterator[dict[str, Any]]:
        """The chunks as the client gets them, `model` the name it asked for; raises `ProxyError`."""

    def frame(self, chunk: dict[str, Any]) -> bytes: ...

    def failure(self, error: ProxyError) -> bytes: ...

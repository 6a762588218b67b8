"""Describes what POST /v1/embeddings takes: OpenAI's parameters, for any provider that LiteLLM asks for embeddings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from proxies.dialects.base import Open

_Tokens = Annotated[list[int], Field(min_length=1)]
_Text = Annotated[str, Field(min_length=1)]


class EmbeddingsParams(Open):
    """The types of an embedding's parameters; ranges are the provider's business.

    `input` is a text or its tokens, or a list of either.
    """

    model: _Text
    input: _Text | Annotated[list[str] | list[int] | list[_Tokens], Field(min_length=1)]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


def is_embeddings(body: dict[str, Any]) -> bool:
    """Whether an answer is a list of embeddings, each a list of numbers or, as base64, a text."""
    data = body.get("data")
    return isinstance(data, list) and all(
        isinstance(item, dict) and isinstance(item.get("embedding"), list | str) for item in data
    )

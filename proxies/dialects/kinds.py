"""Every way to ask a model: one row each, read by the routes, by both backends and by the harness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from proxies.dialects.base import Framing
from proxies.dialects.chat import ChatFraming, ChatParams, as_said, is_completion
from proxies.dialects.embeddings import EmbeddingsParams, is_embeddings
from proxies.dialects.messages import (
    CountParams,
    MessagesFraming,
    MessagesParams,
    is_count,
    is_message,
)
from proxies.dialects.responses import ResponsesFraming, ResponsesParams, is_response
from proxies.memory.strategies import Layout


@dataclass(frozen=True, slots=True)
class Kind:
    """Holds what sets one route to a model apart. All else is the same for each of them.

    `route` is its path below `/v1`, and `bare` says that it is reachable without that, too. `function` is
    LiteLLM's for it, by its place in the package. `shape` types the parameters, `is_answer` knows a whole
    answer, and `framing` writes a stream; without it there are none. `layout` is where the request
    has its messages; without it no memories go in. `nulls`: a whole answer keeps them, as the LiteLLM process does.
    `counts`: the provider only counts what it would be asked, and LiteLLM has no part in it.
    `as_said` takes out of a whole answer what LiteLLM has made up.
    """

    route: str
    function: str
    shape: type[BaseModel]
    framing: Framing | None = None
    is_answer: Callable[[dict[str, Any]], bool] = lambda body: True
    layout: Layout | None = None
    bare: bool = False
    nulls: bool = False
    counts: bool = False
    as_said: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body


_TABLE = (
    Kind(
        "chat/completions",
        "acompletion",
        ChatParams,
        ChatFraming(),
        layout="openai",
        is_answer=is_completion,
        bare=True,
        as_said=as_said,
    ),
    Kind(
        "messages",
        "anthropic.messages.acreate",
        MessagesParams,
        MessagesFraming(),
        is_answer=is_message,
        layout="anthropic",
        nulls=True,
    ),
    Kind(
        "responses",
        "aresponses",
        ResponsesParams,
        ResponsesFraming(),
        is_answer=is_response,
        layout="responses",
        nulls=True,
    ),
    Kind("embeddings", "aembedding", EmbeddingsParams, is_answer=is_embeddings, nulls=True),
)

COUNT = Kind(
    "messages/count_tokens",
    "",
    CountParams,
    MessagesFraming(),
    is_answer=is_count,
    layout="anthropic",
    nulls=True,
    counts=True,
)
"""The row of the route that counts a message's tokens, for which no model is asked."""

KINDS: dict[str, Kind] = {kind.route: kind for kind in _TABLE}
"""The rows by their routes."""

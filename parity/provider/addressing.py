"""Finds the scenario that a request to the stub provider belongs to: told by path, header, model or key.

    path      /{target}/{scenario}/v1/chat/completions, or /{scenario}/v1/chat/completions
    header    x-parity-scenario: chat.plain
    model     "model": "chat.plain" in the body, or at the end of the path of a model's own route
    key       Authorization: Bearer chat.plain, x-api-key or api-key; a usual prefix (`sk-`, `gsk_`) is left aside

The first of these that names a scenario decides. A gateway lets through one or the other; in front of a model's name it
may put its provider's (`openai/chat.plain`), which is left aside, too.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from parity.provider.wire import Request

HEADER = "x-parity-scenario"
ANY = "any"
"""Stands for the target of requests that name a scenario and no target."""

_KEY_PREFIXES = ("sk-ant-", "sk-", "gsk_")
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


@dataclass(frozen=True, slots=True)
class Address:
    """Holds a request's target and scenario, and `rest`: the path and query behind them, without a first slash."""

    target: str
    scenario: str
    rest: str


def find(
    request: Request, scenarios: Container[str], default: str | None = None, target: str = ANY
) -> Address | None:
    """Return the address of a request; None where it names no scenario, and there is no default.

    `target` is that of requests whose path names none.
    """
    path = request.target.removeprefix("/")
    first, _, rest = path.partition("/")
    second, _, further = rest.partition("/")
    if unquote(second.partition("?")[0]) in scenarios:
        return Address(unquote(first), unquote(second), further)
    if unquote(first) in scenarios:
        return Address(target, unquote(first), rest)
    for named in _named(request):
        if named in scenarios:
            return Address(target, named, path)
    return None if default is None else Address(target, default, path)


def _named(request: Request) -> Iterator[str]:
    yield request.headers.get(HEADER, "")
    body: Any = request.parsed_body()
    model = body.get("model") if isinstance(body, dict) else None
    if isinstance(model, str):
        yield from _without_prefixes(model)
    # Gemini's own routes, and Azure's, have the model in their path.
    for part in unquote(request.target.partition("?")[0]).split("/"):
        yield part.partition(":")[0]
    for name in _KEY_HEADERS:
        key = request.headers.get(name, "").removeprefix("Bearer ").strip()
        yield key
        for prefix in _KEY_PREFIXES:
            if key.startswith(prefix):
                yield key.removeprefix(prefix)


def _without_prefixes(model: str) -> Iterator[str]:
    yield model
    while "/" in model:
        model = model.partition("/")[2]
        yield model

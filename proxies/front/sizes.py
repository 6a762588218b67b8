"""How much one request may hold: values, messages and their parts, tools, schemas; each refused with its number.

bytes ── values, before they are parsed ──> JSON ── messages, parts, tools, schemas ──> checked further

What takes long is done in a thread, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from proxies.config.limits import Limits
from proxies.errors import ProxyError

Result = TypeVar("Result")

_LARGE = 64 * 1024
"""Bytes from which on reading a body may take some milliseconds."""
_SIGNS = (b",", b"[", b"{")
_LONGEST_CHAIN = 1000
"""References that lead to one another; who writes more is no person."""

_SCHEMAS = ("tools", "functions", "response_format", "output_format", "output_config", "text")
"""Parameters that have schemas in them."""


async def apart(body: bytes, work: Callable[[], Result]) -> Result:
    """Return what `work` returns about `body`; done in a thread where that may take long."""
    takes_long = len(body) > _LARGE or b"$ref" in body
    return await asyncio.to_thread(work) if takes_long else work()


def check_values(body: bytes, limits: Limits) -> None:
    """Return when JSON holds no more values than it may; raises `ProxyError` 400. Nothing is parsed for it.

    Counted are commas and opening brackets outside of texts, so an empty list counts as two.
    """
    if sum(map(body.count, _SIGNS)) < limits.max_values:
        return
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A text has two quotes, and a value is at most a name and a text.
    if unescaped.count(b'"') <= 4 * limits.max_values:
        outside = b"".join(unescaped.split(b'"')[::2])
        if sum(map(outside.count, _SIGNS)) < limits.max_values:
            return
    raise ProxyError(400, f"The request body has more than {limits.max_values} values.")


def check_sizes(body: Mapping[str, Any], limits: Limits, *, embeds: bool = False) -> None:
    """Return when no list and no schema is larger than it may be; raises `ProxyError` 400 with `param`.

    `embeds` says that `input` has no messages but texts, as many as a message's parts, or tokens, as many as fit.
    """
    for name in ("messages", "input"):
        items = body.get(name)
        if not isinstance(items, list):
            continue
        if embeds and name == "input":
            _check_length(name, sum(1 for item in items if type(item) is not int), limits.max_parts)
        else:
            _check_length(name, len(items), limits.max_messages)
            parts = sum(len(part) for item in items for part in _lists_of(item))
            if parts > limits.max_parts:
                raise ProxyError(
                    400,
                    f"The parameter '{name}' has {parts} parts and tool calls in all: {limits.max_parts} at most.",
                    param=name,
                )
    for name in ("tools", "functions", "mcp_servers"):
        if isinstance(items := body.get(name), list):
            _check_length(name, len(items), limits.max_tools)
    left = limits.max_schema_size
    for name in _SCHEMAS:
        left -= schema_size(body.get(name), left + 1)
        if left < 0:
            raise ProxyError(
                400,
                f"The schemas of the request are too large at '{name}': {limits.max_schema_size} values at most, "
                "each reference written out.",
                param=name,
            )


def schema_size(schema: Any, most: int) -> int:
    """How many values JSON schemas are made of once LiteLLM has put what is meant in the place of each `$ref`.

    Not counted further than `most`. As LiteLLM does it: a reference means the definition with its last word, and one
    that leads back to itself stays.
    """
    size = 0
    todo: list[tuple[Any, dict[str, Any], frozenset[str]]] = [(schema, {}, frozenset())]
    while todo and size < most:
        value, known, chain = todo.pop()
        size += 1
        if isinstance(value, list):
            todo.extend((item, known, chain) for item in value)
        elif isinstance(value, dict):
            own = {**_object(value.get("$defs")), **_object(value.get("definitions"))}
            if own:
                known = {**known, **own}
                size += len(known)
            name = value["$ref"].rsplit("/", 1)[-1] if isinstance(value.get("$ref"), str) else None
            if name is None or name not in known:
                todo.extend((item, known, chain) for item in value.values())
            elif len(chain) >= _LONGEST_CHAIN:
                return most
            elif name not in chain:
                todo.append((known[name], known, chain | {name}))
    return size


def _check_length(name: str, length: int, most: int) -> None:
    if length > most:
        raise ProxyError(400, f"The parameter '{name}' has {length} items: {most} at most.", param=name)


def _lists_of(item: Any) -> Iterator[list[Any]]:
    """A message's content, its tool calls, and what results of tools hold."""
    if not isinstance(item, dict):
        return
    for value in item.values():
        if isinstance(value, list):
            yield value
            for part in value:
                if isinstance(part, dict) and isinstance(inner := part.get("content"), list):
                    yield inner


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

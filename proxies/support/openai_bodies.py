"""Lets the openai package send messages, tools and inputs as they are.

It looks through each of them for values to be renamed, 0.3 ms a message on the event loop, and there are none. What is
given as `extra_body` it doesn't look at.
"""

from __future__ import annotations

import functools
from typing import Any

_AS_GIVEN = "sends_as_given"


def send_as_given() -> None:
    """Change the openai package of this process, once; every client of it, also those that LiteLLM makes."""
    from openai.resources import AsyncEmbeddings
    from openai.resources.chat import AsyncCompletions

    _pass_by(AsyncCompletions, ("messages", "tools", "functions"))
    _pass_by(AsyncEmbeddings, ("input",))


def _pass_by(resource: Any, names: tuple[str, ...]) -> None:
    original = resource.create
    if hasattr(original, _AS_GIVEN):
        return

    @functools.wraps(original)
    async def create(self: Any, **params: Any) -> Any:
        lists = {name: params[name] for name in names if isinstance(params.get(name), list)}
        if lists:
            params |= {name: [] for name in lists}
            params["extra_body"] = {**lists, **(params.get("extra_body") or {})}
        return await original(self, **params)

    setattr(create, _AS_GIVEN, True)
    resource.create = create

"""Lets the openai package send messages, tools and inputs as they are.

It looks through each of them for values to be renamed, 0.3 ms a message on the event loop, and there are none. What is
given as `extra_body` it doesn't look at.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from proxies.support.changed_once import change


def send_as_given() -> None:
    """Change the openai package of this process, once; every client of it, also those that LiteLLM makes."""
    from openai.resources import AsyncEmbeddings
    from openai.resources.chat import AsyncCompletions

    change(AsyncCompletions, "create", partial(_passing_by, names=("messages", "tools", "functions")))
    change(AsyncEmbeddings, "create", partial(_passing_by, names=("input",)))


def _passing_by(original: Any, names: tuple[str, ...]) -> Any:
    async def create(self: Any, **params: Any) -> Any:
        lists = {name: params[name] for name in names if isinstance(params.get(name), list)}
        if lists:
            params |= {name: [] for name in lists}
            params["extra_body"] = {**lists, **(params.get("extra_body") or {})}
        return await original(self, **params)

    return create

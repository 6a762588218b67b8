"""Tools with which LiteLLM would call something by itself, instead of handing them to the provider.

advisor       a tool of the type `advisor_…`: any model, with a key of the environment
file_search   a tool of that type, for a provider without one: a vector store, with a key of the environment
mcp           a `server_url` of LiteLLM's gateway, or one like it: an MCP server of the configuration
skills        an id of LiteLLM's own in `container.skills`: code, in its sandbox

They are refused unless `general_settings.litellm_tools` names them. They are looked for wherever LiteLLM finds tools:
in `tools`, in the tools of a tool (a namespace), and in the items of `input` that bring tools along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_GATEWAY = re.compile(r"\s*(litellm_proxy|https?://.*/mcp/[^/]+/?\s*$)", re.IGNORECASE | re.DOTALL)
_SKILL = "litellm_skill_"


def tools_in(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each tool of a request, with its place as clients write it: `tools[0].tools[1]`."""
    pending = [("tools", body.get("tools"))]
    items = body.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping):
            pending.append((f"input[{index}].tools", item.get("tools")))
    while pending:
        place, tools = pending.pop()
        for index, tool in enumerate(tools if isinstance(tools, list) else ()):
            if isinstance(tool, Mapping):
                yield f"{place}[{index}]", tool
                pending.append((f"{place}[{index}].tools", tool.get("tools")))


def acting(
    body: Mapping[str, Any], *, file_search_is_native: Callable[[], bool]
) -> Iterator[tuple[str, str]]:
    """Each place at which a request would make LiteLLM act, and the name of what it is.

    `file_search_is_native` is asked only where there is such a tool: few requests have one.
    """
    for place, tool in tools_in(body):
        kind = tool.get("type")
        if isinstance(kind, str) and kind.startswith("advisor_"):
            yield f"{place}.type", "advisor"
        if kind == "file_search" and not file_search_is_native():
            yield f"{place}.type", "file_search"
        url = tool.get("server_url")
        if isinstance(url, str) and _GATEWAY.match(url):
            yield f"{place}.server_url", "mcp"
    container = body.get("container")
    skills = container.get("skills") if isinstance(container, Mapping) else None
    for index, skill in enumerate(skills if isinstance(skills, list) else ()):
        if isinstance(skill, Mapping) and str(skill.get("skill_id")).startswith(_SKILL):
            yield f"container.skills[{index}].skill_id", "skills"

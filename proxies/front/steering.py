"""Which parameters of a request would steer LiteLLM instead of reaching the provider, and their refusal.

`steering.json` lists the names, so that the front needs no litellm to know them; `steering_names.py` makes it. They are
looked for at every depth at which LiteLLM obeys them: beside `model`, in `metadata`, in each tool.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from proxies.config.models import Deployment
from proxies.config.providers import provider_of
from proxies.errors import ProxyError
from proxies.front.tools import acting, tools_in
from proxies.support.generated_lists import read
from proxies.support.redact import redact_text

FILE = Path(__file__).with_suffix(".json")

_LABELS = frozenset({"id", "name", "session_id", "tags", "user_id"})
"""Keys of `metadata` that only label a request."""
PREFIXES = ("_", "litellm_")


def is_steering(name: str) -> bool:
    """Whether a client may not send this parameter."""
    return name in steering_names() or name.startswith(PREFIXES)


def is_steering_label(name: str) -> bool:
    """Whether a client may not send this key of `metadata`, where LiteLLM looks for some of its names too."""
    return is_steering(name) and name not in _LABELS


def is_steering_in_tool(name: str) -> bool:
    """Whether a client may not send this key of a tool; `headers`, say, are the provider's there."""
    return name in generated()["in_tools"] or name.startswith(PREFIXES)


def steering_names() -> frozenset[str]:
    """The generated list."""
    return generated()["names"]


def has_own_file_search(deployments: Iterable[Deployment]) -> bool:
    """Whether each of these is at a provider that LiteLLM hands `file_search` on to, by what its `model` says."""
    return all(
        provider_of(d.litellm_params) in generated()["file_search"]
        and not d.litellm_params.get("use_chat_completions_api")
        for d in deployments
    )


def check_steering(
    body: Mapping[str, Any],
    *,
    own: Collection[str] = (),
    allowed_tools: Collection[str] = (),
    file_search_is_native: Callable[[], bool] = lambda: True,
) -> None:
    """Return when nothing in `body` would steer LiteLLM; raises `ProxyError` 400 with `param`.

    `own` are names that the route has a use for, `allowed_tools` what `general_settings.litellm_tools` names.
    """
    for name in map(redact_text, _steering(body, own)):
        raise ProxyError(400, f"The parameter '{name}' is not allowed: it would steer the proxy.", param=name)
    for place, what in acting(body, file_search_is_native=file_search_is_native):
        if what not in allowed_tools:
            raise ProxyError(
                400,
                f"The parameter '{place}' is not allowed: LiteLLM would make calls of its own for it. "
                f"Who runs the proxy can allow them: `general_settings.litellm_tools: [{what}]`.",
                param=place,
            )


def _steering(body: Mapping[str, Any], own: Collection[str]) -> Iterator[str]:
    yield from (name for name in body if is_steering(name) and name not in own)
    yield from (f"metadata.{name}" for name in _labels(body.get("metadata")) if is_steering_label(name))
    for place, tool in tools_in(body):
        yield from (f"{place}.{name}" for name in tool if is_steering_in_tool(name))


def _labels(metadata: Any) -> Mapping[str, Any]:
    """Metadata as LiteLLM reads it, which takes a text for JSON, as forms have it."""
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except (ValueError, RecursionError):
            raise ProxyError(400, "The parameter 'metadata' must be an object.", param="metadata") from None
    return metadata if isinstance(metadata, Mapping) else {}


@functools.cache
def generated() -> Mapping[str, frozenset[str]]:
    """Return the generated lists: `names`, names `in_tools`, and the providers with a `file_search` of their own."""
    return read(FILE, in_each=("file_search",))

"""How much a Claude model may think where a client says it in OpenAI's words.

Claude models up to 4.5 think within a budget of tokens that counts among those of the answer, so it has to be smaller.
LiteLLM makes a budget of an effort and never looks at the limit: the provider would refuse what it makes.

effort, limit ──> the effort, where its budget fits | a budget just below the limit | 400
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from proxies.config.models import Deployment
from proxies.config.providers import provider_of
from proxies.errors import ProxyError

BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
"""LiteLLM's budgets by effort."""
SMALLEST = 1024
"""Anthropic's smallest budget."""
PROVIDERS = ("anthropic", "azure_ai", "bedrock", "vertex_ai")

_BY_BUDGET = re.compile(
    r"claude-(?:3[-.]7-sonnet|(?:opus|sonnet|haiku)-4(?:[-.][015])?)(?!\d)(?![-.]\d{1,2}(?!\d))"
    r"|anthropic\.claude-mythos-preview"  # Bedrock's name of it
)


class _Words(NamedTuple):
    effort: str
    limits: tuple[str, ...]


_WORDS: Mapping[str, _Words] = {
    "chat/completions": _Words("reasoning_effort", ("max_completion_tokens", "max_tokens")),
    "responses": _Words("reasoning", ("max_output_tokens",)),
}
"""Names an effort and a limit as OpenAI's routes do."""


def thinks_by_budget(deployment: Deployment) -> bool:
    """Whether LiteLLM makes a budget of an effort for this model; newer ones are told the effort itself."""
    params = deployment.litellm_params
    provider = provider_of(params) or "anthropic"  # LiteLLM's guess for a model called claude-…
    return provider in PROVIDERS and _BY_BUDGET.search(str(params["model"])) is not None


def fit_thinking(body: dict[str, Any], route: str, deployments: Iterable[Deployment]) -> dict[str, Any]:
    """The body, with a budget instead of an effort where the effort's own wouldn't be below the limit.

    Raises `ProxyError` 400 that names the limit, where it leaves no room for any budget.
    """
    words = _WORDS.get(route)
    if words is None or "thinking" in body or not all(map(thinks_by_budget, deployments)):
        return body
    effort = body.get(words.effort)
    effort = effort.get("effort") if isinstance(effort, Mapping) else effort
    budget = BUDGETS.get(effort) if isinstance(effort, str) else None
    limit_name = next((name for name in words.limits if isinstance(body.get(name), int)), None)
    if budget is None or limit_name is None or budget < body[limit_name]:
        return body
    if body[limit_name] <= SMALLEST:
        raise ProxyError(
            400,
            f"The parameter '{limit_name}' leaves no room to think: this model thinks with {SMALLEST} tokens at least, "
            f"which count among them. Send more than {SMALLEST}, or no '{words.effort}'.",
            param=limit_name,
        )
    kept = {name: value for name, value in body.items() if name != words.effort}
    return {**kept, "thinking": {"type": "enabled", "budget_tokens": body[limit_name] - 1}}

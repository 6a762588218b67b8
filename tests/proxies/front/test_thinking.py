"""Efforts that become budgets, and when: as LiteLLM has it, but below the limit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxies.config.models import Deployment
from proxies.errors import ProxyError
from proxies.front import thinking
from proxies.front.thinking import fit_thinking, thinks_by_budget


def deployment(model: str, **params: Any) -> Deployment:
    return Deployment(model_name="m", litellm_params={"model": model, **params})


CLAUDE = [deployment("anthropic/claude-sonnet-4-5")]
CHAT = {"model": "m", "reasoning_effort": "medium"}
RESPONSE = {"model": "m", "reasoning": {"effort": "high", "summary": "auto"}}


@pytest.mark.parametrize(
    ("route", "body", "budget"),
    [
        ("chat/completions", {**CHAT, "max_tokens": 2048}, 2047),
        ("chat/completions", {**CHAT, "max_completion_tokens": 1025, "max_tokens": 9000}, 1024),
        ("chat/completions", {"reasoning_effort": {"effort": "max"}, "max_tokens": 5000}, 4999),
        ("responses", {**RESPONSE, "max_output_tokens": 4096}, 4095),
    ],
)
def test_a_budget_below_the_limit(route: str, body: dict[str, Any], budget: int) -> None:
    """In place of an effort whose own budget is as large as the limit."""
    fitted = fit_thinking(body, route, CLAUDE)
    assert fitted["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert not {"reasoning_effort", "reasoning"} & set(fitted)


@pytest.mark.parametrize(
    ("route", "body", "param"),
    [
        ("chat/completions", {**CHAT, "max_tokens": 1000}, "max_tokens"),
        ("chat/completions", {**CHAT, "max_completion_tokens": 1024}, "max_completion_tokens"),
        ("responses", {**RESPONSE, "max_output_tokens": 16}, "max_output_tokens"),
    ],
)
def test_no_room_is_refused(route: str, body: dict[str, Any], param: str) -> None:
    """With the limit that is too small, and what to do."""
    with pytest.raises(ProxyError, match="no room to think") as caught:
        fit_thinking(body, route, CLAUDE)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("route", "body", "deployments"),
    [
        ("chat/completions", {**CHAT, "max_tokens": 2049}, CLAUDE),
        ("chat/completions", CHAT, CLAUDE),
        ("chat/completions", {**CHAT, "reasoning_effort": "none", "max_tokens": 9}, CLAUDE),
        ("chat/completions", {**CHAT, "reasoning_effort": None, "max_tokens": 9}, CLAUDE),
        ("chat/completions", {**CHAT, "max_tokens": 9, "thinking": {"type": "enabled"}}, CLAUDE),
        ("chat/completions", {**CHAT, "max_tokens": 9}, [deployment("openai/gpt-5")]),
        ("chat/completions", {**CHAT, "max_tokens": 9}, [*CLAUDE, deployment("openai/gpt-5")]),
        ("chat/completions", {**CHAT, "max_tokens": 9}, [deployment("anthropic/claude-opus-4-6")]),
        ("messages", {**CHAT, "max_tokens": 9}, CLAUDE),
        ("responses", {"reasoning": "high", "max_output_tokens": "9"}, CLAUDE),
    ],
)
def test_everything_else_goes_up_as_it_came(
    route: str, body: dict[str, Any], deployments: list[Deployment]
) -> None:
    """What fits, what says nothing of thinking, and models that have no budgets."""
    assert fit_thinking(body, route, deployments) is body


def test_budgets_are_litellms() -> None:
    """Effort by effort, as the installed version has them."""
    pytest.importorskip("litellm")
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    made = {
        effort: AnthropicConfig._map_reasoning_effort(effort, "claude-sonnet-4-5", "anthropic")
        for effort in thinking.BUDGETS
    }
    assert {effort: (found or {}).get("budget_tokens") for effort, found in made.items()} == thinking.BUDGETS


def test_the_models_are_litellms() -> None:
    """Each Claude model that the installed version knows has a budget exactly where the front thinks so."""
    litellm = pytest.importorskip("litellm")
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    asked, differing = 0, []
    for name, info in litellm.model_cost.items():
        provider = info.get("litellm_provider", "").removesuffix("_converse").partition("-")[0]
        if "claude" not in name or provider not in thinking.PROVIDERS or not info.get("supports_reasoning"):
            continue
        bare = name.removeprefix(f"{provider}/")
        made = AnthropicConfig._map_reasoning_effort("low", bare, provider) or {}
        asked += 1
        if (made.get("type") == "enabled") is not thinks_by_budget(deployment(f"{provider}/{bare}")):
            differing.append((name, provider, made))
    assert asked > 50
    assert differing == [], json.dumps(differing)

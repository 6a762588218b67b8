"""Chooses the scenarios that make sense for an endpoint of which nothing is known but its URL and a model.

Left out is what needs a configuration (keys, retries, memory, sessions), another wire than OpenAI's chat, or a provider
that misbehaves on demand; and of scenarios that ask the same and only differ in what their own provider says, all but
one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from parity.catalogue.scenario import Scenario

THEMES = frozenset({"chat", "streaming", "models", "requests"})
PATHS = frozenset({"/v1/chat/completions", "/v1/models"})
REFUSALS = ("requests.json", "requests.object", "requests.model", "requests.messages", "requests.types")
"""The clauses about requests that the published APIs refuse, the most telling one first."""


def for_strangers(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """Return the scenarios that any endpoint of OpenAI's chat API can be asked, each question once."""
    chosen: dict[str, Scenario] = {}
    for scenario in scenarios:
        if _asks_anyone(scenario):
            chosen.setdefault(_question(scenario), scenario)
    return list(chosen.values())


def _asks_anyone(scenario: Scenario) -> bool:
    deployment = scenario.deployment
    if scenario.id.partition(".")[0] not in THEMES or scenario.memory or deployment.params:
        return False
    if deployment.provider != "openai":
        return False
    if scenario.id.startswith("requests.") and set(REFUSALS).isdisjoint(scenario.clauses):
        return False
    if any(reply.fault or reply.status >= 300 for reply in scenario.provider):
        return False
    return all(
        request.path in PATHS and request.auth == "bearer" and request.hang_up_after is None
        for request in scenario.client
    )


def _question(scenario: Scenario) -> str:
    asked = json.dumps([request.model_dump(mode="json") for request in scenario.client], sort_keys=True)
    return asked.replace(json.dumps(scenario.alias), '"$model"')


def tokens_of(scenarios: Iterable[Scenario]) -> int:
    """Estimate the tokens that a run costs: a fourth of the characters, and what is asked for or 64 an answer."""
    total = 0
    for scenario in scenarios:
        for request in scenario.client:
            body = request.json_ if isinstance(request.json_, dict) else {}
            total += len(json.dumps(body)) // 4
            wanted = body.get("max_completion_tokens", body.get("max_tokens"))
            total += wanted if isinstance(wanted, int) else 64 if "messages" in body else 0
    return total

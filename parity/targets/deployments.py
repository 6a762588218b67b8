"""Writes the configuration that a scenario needs: its deployments, their fallbacks, keys and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.catalogue.scenario import Scenario
from parity.provider import memory as memories
from parity.provider.control import base_url

MOCKED_KEY = "sk-parity-mocked-0123456789abcdef"
"""The master key of the mocked tier: no secret, since nothing listens."""


PROVIDER_KEY = "stub-provider-key"


PROVIDER_URL = "http://provider.invalid"


REFUSED_URL = "http://refused.invalid"


LITELLM_URL = "http://litellm.invalid"


QUICK_RETRIES = {"INITIAL_RETRY_DELAY": "0.05", "JITTER": "0.05"}
"""The variables of LiteLLM for the seconds before a retry without the provider's advice (0.5, plus up to
0.75).
"""


def litellm_params(
    scenario: Scenario, arm: str, provider_url: str, refused_url: str, fallback: str | None = None
) -> dict[str, Any]:
    """Return the `litellm_params` of the deployment behind a scenario's alias, or of one of its fallbacks."""
    deployment = scenario.deployment
    base = refused_url if deployment.refused else base_url(provider_url, arm, scenario.id)
    return {
        "model": f"{deployment.provider}/{fallback or deployment.model}",
        "api_key": PROVIDER_KEY,
        "api_base": base if deployment.provider == "anthropic" else f"{base}/v1",
        **({} if fallback else deployment.params),
    }


def deployments(scenario: Scenario, arm: str, provider_url: str, refused_url: str) -> list[dict[str, Any]]:
    """Return the scenario's part of `model_list`: its own group, then its fallbacks' groups."""
    info = model_info(scenario, arm, provider_url, refused_url)
    params = litellm_params(scenario, arm, provider_url, refused_url)
    # LiteLLM takes two deployments without ids for one if they are equal.
    ids = [{"id": f"{scenario.alias} {n}"} for n in range(scenario.deployment.group)]
    group = [
        {
            "model_name": scenario.alias,
            "litellm_params": params,
            "model_info": {**info, **(own if ids[1:] else {})},
        }
        for own in ids
    ]
    return group + [
        {
            "model_name": name,
            "litellm_params": litellm_params(scenario, arm, provider_url, refused_url, fallback),
            "model_info": info,
        }
        for name, fallback in zip(fallback_aliases(scenario), scenario.deployment.fallbacks, strict=True)
    ]


def fallback_aliases(scenario: Scenario) -> list[str]:
    """Return the names of a scenario's fallback groups."""
    return [f"{scenario.alias}, instead: {model}" for model in scenario.deployment.fallbacks]


def model_info(scenario: Scenario, arm: str, provider_url: str, refused_url: str) -> dict[str, Any]:
    """Return the settings of the deployment that only our proxies read, not LiteLLM."""
    info: dict[str, Any] = {"supermemory": scenario.deployment.supermemory}
    store_url = refused_url if scenario.deployment.memory_refused else provider_url
    if memory := memories.settings(scenario, base_url(store_url, arm, scenario.id)):
        info["context_retrieval"] = memory
    return info


def config_document(
    scenarios: Iterable[Scenario],
    arm: str,
    *,
    master_key: str = MOCKED_KEY,
    provider_url: str = PROVIDER_URL,
    refused_url: str = REFUSED_URL,
) -> dict[str, Any]:
    """Build a config.yaml that serves every scenario's alias; the same for both arms but for the provider's
    address.
    """
    served = list(scenarios)
    fallbacks = [{s.alias: fallback_aliases(s)} for s in served if s.deployment.fallbacks]
    return {
        "model_list": [
            entry for scenario in served for entry in deployments(scenario, arm, provider_url, refused_url)
        ],
        "general_settings": {"master_key": master_key, "max_request_size_mb": 1},
        "router_settings": {"fallbacks": fallbacks} if fallbacks else {},
    }

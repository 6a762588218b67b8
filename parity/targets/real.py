"""Puts real providers behind the proxies: their public addresses, and keys that the environment holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parity.catalogue.scenario import Scenario
from parity.targets.arms import Arm
from parity.targets.deployments import config_document


@dataclass(frozen=True)
class Provider:
    """Names the environment variables of a provider, as its official client reads them, and its public address."""

    key_variable: str
    url_variable: str
    public_url: str

    @property
    def key(self) -> str:
        return os.environ.get(self.key_variable, "").strip()

    @property
    def url(self) -> str:
        return os.environ.get(self.url_variable, "").strip() or self.public_url


PROVIDERS = {
    "openai": Provider("OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": Provider("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    "groq": Provider("GROQ_API_KEY", "GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
}


def provider_of(scenario: Scenario) -> Provider | None:
    """Return the provider that a scenario asks; None for one that isn't known here."""
    return PROVIDERS.get(scenario.deployment.provider)


def real_document(scenarios: Iterable[Scenario], arm: Arm, master_key: str) -> dict[str, Any]:
    """Build a config.yaml whose every alias leads to its real provider. Keys are named in it, not written."""
    document = config_document(scenarios, arm, master_key=master_key)
    for entry in document["model_list"]:
        entry["litellm_params"] |= _where(entry["litellm_params"])
    return document


def _where(params: Mapping[str, Any]) -> dict[str, str]:
    provider = PROVIDERS[params["model"].partition("/")[0]]
    return {"api_base": provider.url, "api_key": f"os.environ/{provider.key_variable}"}

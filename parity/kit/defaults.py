"""Holds the configuration of the kit's proxies, for tests without one of their own."""

from __future__ import annotations

from typing import Any

from parity.kit.memory_api import MEMORY_KEY, MEMORY_URL
from parity.targets.deployments import MOCKED_KEY, PROVIDER_KEY, PROVIDER_URL

DIRECT_MODEL = "gpt-4o"


def default_config(*, memory: bool = False) -> dict[str, Any]:
    """Return a config.yaml as data.

    `gpt-4o-mini` (OpenAI) and `claude-sonnet-4-5` (Anthropic) are routed through Supermemory, so that their calls
    carry `x-sm-user-id`; `gpt-4o` (OpenAI) is not. `memory`: memories are looked up.
    """
    openai = {"api_key": PROVIDER_KEY, "api_base": f"{PROVIDER_URL}/v1"}
    anthropic = {"api_key": PROVIDER_KEY, "api_base": PROVIDER_URL}
    rows = (
        ("gpt-4o-mini", {"model": "openai/gpt-4o-mini", **openai}, True),
        ("claude-sonnet-4-5", {"model": "anthropic/claude-sonnet-4-5-20250929", **anthropic}, True),
        (DIRECT_MODEL, {"model": "openai/gpt-4o", **openai}, False),
    )
    config: dict[str, Any] = {
        "model_list": [
            {"model_name": name, "litellm_params": params, "model_info": {"supermemory": routed}}
            for name, params, routed in rows
        ],
        "general_settings": {"master_key": MOCKED_KEY},
    }
    if memory:
        config["context_retrieval"] = {"enabled": True, "base_url": MEMORY_URL, "api_key": MEMORY_KEY}
    return config

"""Sets what LiteLLM reads from the environment when imported, so that it asks the network nothing about itself."""

from __future__ import annotations

import os

LOCAL = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
}
"""The lists of prices and betas that it was shipped with: those of the day may differ between two processes."""


def stay_local() -> None:
    """Call it before the first `import litellm`. What the environment says already is left as it is."""
    for name, value in LOCAL.items():
        os.environ.setdefault(name, value)

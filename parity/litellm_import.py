"""litellm, imported so that it neither asks the network for a price list nor prints advice on every error."""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm  # the line above must come first

litellm.suppress_debug_info = True

__all__ = ["litellm"]

"""Spares LiteLLM the record of a success that nobody reads.

LiteLLM makes one of each answer, with what it cost, and hands it to callbacks: a seventh of a small chat's CPU time in
this process. No configuration of ours names a callback, but a program around the proxy may.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from proxies.support.changed_once import change, loaded

_OF_ALL = ("callbacks", "success_callback", "_async_success_callback")
_OF_ONE = ("dynamic_success_callbacks", "dynamic_async_success_callbacks")
_PRINTS = "LITELLM_PRINT_STANDARD_LOGGING_PAYLOAD"


def record_for_listeners_alone() -> None:
    """Change the LiteLLM of this process, once; it has to have been imported. One without that function stays."""
    change(
        loaded("litellm.litellm_core_utils.litellm_logging", "Logging"),
        "_async_success_handler_body",
        _spared,
    )


def _spared(original: Any) -> Any:
    async def record(self: Any, *args: Any, **options: Any) -> None:
        if _has_listeners(self):
            await original(self, *args, **options)

    return record


def _has_listeners(call: Any) -> bool:
    """Whether anybody reads the record of a call; a LiteLLM that doesn't say counts as yes."""
    litellm = sys.modules["litellm"]
    return (
        any(getattr(litellm, name, True) for name in _OF_ALL)
        or any(getattr(call, name, True) for name in _OF_ONE)
        or _PRINTS in os.environ
    )

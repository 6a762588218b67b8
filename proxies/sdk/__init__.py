"""Calls LiteLLM in its own process, on sessions that keep a user's cookies.

    proxies.sdk:create_app       the application, for `uvicorn --factory` and for tests

It is imported when it is asked for, so that `memory-proxy --help` needn't wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxies.sdk.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from proxies.sdk import app

    return getattr(app, name)

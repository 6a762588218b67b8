"""Builds the binary application: the front, and a backend that forwards to a LiteLLM process."""

from __future__ import annotations

import logging

from fastapi import FastAPI

from proxies.binary.backend import BinaryBackend
from proxies.config.loading import config_from_environment
from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.shared import Shared
from proxies.support.redact import redact_url

_log = logging.getLogger(__name__)

UNGUARDED = (
    "--litellm-url: a LiteLLM that was started elsewhere is not guarded from inside: it follows providers' redirects, "
    "takes answers of any size, and one request may keep others waiting there; docs/security.md says what holds"
)


def create_app(
    config: ProxyConfig | None = None,
    *,
    litellm_url: str | None = None,
    litellm_key: str | None = None,
    shared: Shared | None = None,
) -> FastAPI:
    """The proxy in front of the LiteLLM process at `litellm_url`; without one it starts and stops its own.

    Without `config` the one named by the environment; with `shared` as one of several workers. Raises
    `proxies.config.ConfigError`.
    """
    config = config or config_from_environment()
    return build_app(config, BinaryBackend(config, litellm_url, litellm_key), shared=shared)


async def warn_if_silent(config: ProxyConfig, litellm_url: str, litellm_key: str | None) -> None:
    """Log what the LiteLLM at `litellm_url` isn't guarded against; in the words of readiness if it is of no use yet."""
    _log.warning(UNGUARDED)
    backend = BinaryBackend(config, litellm_url, litellm_key)
    try:
        await backend.check_ready()
    except ProxyError as error:
        _log.warning("--litellm-url %s: %s", redact_url(litellm_url), error.message)
    finally:
        await backend.aclose()

"""Builds the sdk application: the front, and a backend with LiteLLM inside."""

from __future__ import annotations

from fastapi import FastAPI

from proxies.config.loading import ConfigError, config_from_environment
from proxies.config.models import ProxyConfig
from proxies.front.app import build_app
from proxies.sdk.backend import (
    SdkBackend,
)
from proxies.sdk.config import sdk_problems
from proxies.shared import Shared


def create_app(config: ProxyConfig | None = None, *, shared: Shared | None = None) -> FastAPI:
    """The proxy with LiteLLM inside.

    Without `config` the one named by the environment; with `shared` as one of several workers. Raises
    `proxies.config.ConfigError`, also for a configuration that LiteLLM's SDK can't honour.
    """
    config = config or config_from_environment()
    if problems := sdk_problems(config):
        raise ConfigError(problems)
    shared = (shared or Shared()).through(config.shared_store)
    return build_app(config, SdkBackend(config, cookies=shared.cookies), shared=shared)

"""Reads and checks the configuration, and resolves what it names of the environment."""

from __future__ import annotations

from proxies.config.loading import ConfigError, config_from_environment, litellm_key, load_config
from proxies.config.models import DEFAULT_PATTERNS, Deployment, HeaderPattern, ProxyConfig, UserIdMappings

__all__ = [
    "DEFAULT_PATTERNS",
    "ConfigError",
    "Deployment",
    "HeaderPattern",
    "ProxyConfig",
    "UserIdMappings",
    "config_from_environment",
    "litellm_key",
    "load_config",
]

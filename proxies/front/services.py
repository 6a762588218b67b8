"""Holds what an endpoint works with: the configuration, the backend, the memory, metrics and places."""

from __future__ import annotations

from dataclasses import dataclass

from proxies.backend import Backend
from proxies.config.models import ProxyConfig
from proxies.front.observing.metrics import Metrics
from proxies.front.places import Places
from proxies.memory.context import Memory
from proxies.memory.sharing import DefaultUser


@dataclass(frozen=True, slots=True)
class Services:
    """Carries what every endpoint works with; one for each application."""

    config: ProxyConfig
    backend: Backend
    memory: Memory
    metrics: Metrics
    places: Places
    default_user: DefaultUser

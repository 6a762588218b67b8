"""Who shares the memories of the default user: all clients that no pattern and no header tells apart.

at the start     well-known clients that the configuration's patterns don't recognise ──> one warning
while it serves  kinds of clients that have counted as the default user ───────────────> one warning, and routing info
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping

from proxies.config.clients import CLIENTS
from proxies.config.models import Deployment, ProxyConfig
from proxies.memory.routing import route
from proxies.support.redact import redact_text

MAX_KINDS = 16
"""So many are kept; what clients send is theirs to choose."""

_KIND = re.compile(r"[A-Za-z0-9._-]{1,40}")
_MEND = "give each a row in user_id_mappings.header_patterns, or let it send %s"

_log = logging.getLogger("proxies.memory")


def sharing(config: ProxyConfig) -> list[str]:
    """The well-known clients that would count as the default user."""
    agents = {client.name: client.agent for client in CLIENTS}
    return [
        name
        for name, agent in agents.items()
        if route({"user-agent": agent}, config.user_id_mappings).is_default
    ]


def places(config: ProxyConfig, group: tuple[Deployment, ...]) -> Iterator[str]:
    """Where something is remembered of who asks these deployments: the proxy's store, and Supermemory behind them."""
    memory = config.memory_of(group)
    if memory.enabled and any(memory.models.allows(deployment.model_name) for deployment in group):
        yield f"{memory.store} {memory.path or memory.base_url} {memory.container_tag}"
    for deployment in group:
        if deployment.through_supermemory:
            yield f"behind {deployment.litellm_params.get('api_base') or deployment.litellm_params.get('base_url')}"


class DefaultUser:
    """Which kinds of clients have counted as the default user of an application, where something is remembered."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._mappings = config.user_id_mappings
        self._kinds: dict[str, dict[str, None]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether clients of several kinds share what is remembered of it in some place."""
        return any(len(kinds) > 1 for kinds in self._kinds.values())

    def warn_at_start(self) -> None:
        """Log which well-known clients will share its memories, when there are several and anything is remembered."""
        names = {deployment.model_name for deployment in self._config.model_list}
        remembered = any(any(places(self._config, self._config.group(name))) for name in names)
        if remembered and len(shared := sharing(self._config)) > 1:
            _log.warning(
                f"clients that no pattern knows share the memories of '%s': %s; {_MEND}",
                self._mappings.default_user_id,
                ", ".join(shared),
                self._mappings.custom_header,
            )

    def asked(self, headers: Mapping[str, str], group: tuple[Deployment, ...]) -> None:
        """Note that a request counts as the default user; the second kind of client is worth a warning."""
        found = _KIND.match(headers.get("user-agent", ""))
        kind = found[0].lower() if found else "without a name"
        for place in places(self._config, group):
            kinds = self._kinds.setdefault(place, {})
            if kind in kinds or len(kinds) >= MAX_KINDS:
                continue
            kinds[kind] = None
            if len(kinds) == 2:
                _log.warning(
                    f"clients of several kinds share the memories of '%s': %s; {_MEND}",
                    self._mappings.default_user_id,
                    ", ".join(map(redact_text, kinds)),
                    self._mappings.custom_header,
                )

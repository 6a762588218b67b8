"""Who is asking, and what is said about it upstream. Pure functions of headers and configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proxies.config.models import Deployment, HeaderPattern, UserIdMappings
from proxies.config.patterns import compiled

USER_ID_HEADER = "x-sm-user-id"
"""Names the header that Supermemory reads the user id from; clients may use it instead of the custom header."""


@dataclass(frozen=True, slots=True)
class Routing:
    """The user id and what decided it: a header of the client's own, a pattern, or the default."""

    user_id: str
    matched_pattern: HeaderPattern | None = None
    custom_header_present: bool = False
    is_default: bool = False

    def as_info(self) -> dict[str, Any]:
        """The flat body of `GET /memory-routing/info`."""
        return {
            "user_id": self.user_id,
            "matched_pattern": self.matched_pattern.model_dump() if self.matched_pattern else None,
            "custom_header_present": self.custom_header_present,
            "is_default": self.is_default,
        }


def route(headers: Mapping[str, str], mappings: UserIdMappings) -> Routing:
    """Decides the user id: custom header, its alias `x-sm-user-id`, first matching pattern, default.

    Names of headers are compared without case; of a repeated header the first value counts; a blank
    custom header counts as none.
    """
    given: dict[str, str] = {}
    for name, text in headers.items():
        given.setdefault(name.lower(), text)

    for name in (mappings.custom_header.lower(), USER_ID_HEADER):
        user_id = given.get(name, "").strip()
        if user_id:
            return Routing(user_id, custom_header_present=True)
    for row in mappings.header_patterns:
        value = given.get(row.header.lower())
        # An absent header matches nothing, not even a pattern that would match empty text.
        if value is not None and compiled(row.pattern).search(value):
            return Routing(row.user_id, matched_pattern=row)
    return Routing(mappings.default_user_id, is_default=True)


def memory_headers(routing: Routing, deployments: Iterable[Deployment]) -> dict[str, str]:
    """The headers that tell Supermemory who asks; none unless a deployment of the group goes through it."""
    if any(deployment.through_supermemory for deployment in deployments):
        return {USER_ID_HEADER: routing.user_id}
    return {}

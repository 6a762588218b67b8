"""Opens the only door from the harness to the proxies: their apps, their tables, LiteLLM's process as they start it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from starlette.types import ASGIApp

from proxies import sessions
from proxies.config.models import ProxyConfig, UserIdMappings
from proxies.front.models import listed
from proxies.memory.routing import route

if TYPE_CHECKING:
    from proxies.binary.process import LiteLLMProcess
from parity.targets.deployments import LITELLM_URL, MOCKED_KEY
from proxies.chunks import WRITTEN as WRITTEN  # in the usage of a stream: what the provider wrote of it
from proxies.dialects.kinds import KINDS
from proxies.egress import UNASKED as UNASKED  # what a recording says of an exception
from proxies.egress import UNREAD as UNREAD
from proxies.egress import noting_calls as noting_calls
from proxies.limited_body import reads_behind_the_end as reads_behind_the_end

SDK_FUNCTIONS = {kind.route: f"litellm.{kind.function}" for kind in KINDS.values()}
"""The place where LiteLLM's function for each route is looked up, and so doubled, tapped and probed.

Read from the proxies' own table, so that a new row there is played without a word here.
"""


Arm = Literal["binary", "sdk"]


ARMS: tuple[Arm, ...] = ("binary", "sdk")


def arm_of(name: str) -> tuple[Arm, str | None]:
    """Return the arm of a target's name and the LiteLLM whose recordings it plays: `sdk`, `sdk@1.106.2`.

    Raises `ValueError` for the name of anything else.
    """
    word, at, version = name.partition("@")
    arm = next((arm for arm in ARMS if arm == word), None)
    if arm is None or bool(at) != bool(version):
        raise ValueError(
            f"{name!r} is neither {' nor '.join(ARMS)}, nor one of them with a version: sdk@1.106.2"
        )
    return arm, version or None


START_DEADLINE = 180.0
"""Seconds for LiteLLM to come up where recordings are made: several start at once, on machines that do other work."""


def create_app(
    arm: Arm, config: dict[str, Any], *, litellm_url: str = LITELLM_URL, litellm_key: str = MOCKED_KEY
) -> ASGIApp:
    """Create the arm's app on a config document; the binary one forwards to `litellm_url`."""
    parsed = ProxyConfig.model_validate(config)
    if arm == "binary":
        from proxies import binary

        return binary.create_app(parsed, litellm_url=litellm_url, litellm_key=litellm_key)
    from proxies import sdk

    return sdk.create_app(parsed)


def routing_info(headers: Mapping[str, str], user_id_mappings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the proxies' answer at `/memory-routing/info` to these headers, with that section of the
    configuration.
    """
    return route(headers, UserIdMappings.model_validate(user_id_mappings)).as_info()


def models_list(names: Iterable[str]) -> dict[str, Any]:
    """Return the proxies' answer at `/v1/models` when these are configured."""
    return listed(names)


def session_managers() -> dict[str, type]:
    """Return the classes whose `get_session` is a seam: of the arms, and `memory` for memory stores."""
    return {
        "binary": sessions.ProxySessionManager,
        "sdk": sessions.LiteLLMSessionManager,
        "memory": sessions.MemorySessionManager,
    }


def litellm_process(config: dict[str, Any]) -> LiteLLMProcess:
    """Run a real LiteLLM process on a config document, prepared as the binary proxy prepares it."""
    from proxies.binary.process import LiteLLMProcess

    return LiteLLMProcess(ProxyConfig.model_validate(config), deadline=START_DEADLINE)

"""Plays scenarios on a gateway that runs in front of the stub provider."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from httpx import AsyncClient

from parity.catalogue.scenario import Scenario
from parity.gateways.profile import Profile, filled
from parity.judging.duties import KEY_LEAKED
from parity.observation.model import Observation
from parity.provider.control import ProviderControl, base_url
from parity.targets.client import Credentials, play
from parity.targets.official import Player, play_with
from parity.targets.target import CALL_DEADLINE, CANCEL_DEADLINE, LITELLMS_OWN, renamed, without_noise

PATIENCE = 30.0
LONGEST_WAIT = 0.1
"""The seconds that an official client waits before it asks the stub again, which isn't overburdened."""


def safe(scenario_id: str) -> str:
    """Return an id as names of models may be written anywhere: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", scenario_id.lower()).strip("-")


@dataclass(frozen=True)
class GatewayTarget:
    """Plays scenarios through the gateway at `url`. What is sent besides the scenario's own is the profile's.

    `player` is the official client that asks; None asks without one.
    """

    profile: Profile
    url: str
    provider_url: str
    refused_url: str
    key: str = field(repr=False)
    player: Player | None = None

    def values(self, scenario: Scenario) -> dict[str, Any]:
        """Return what the templates for one scenario know."""
        refused = scenario.deployment.refused
        return {
            "scenario": scenario.id,
            "safe": safe(scenario.id),
            "wire": scenario.deployment.provider,
            "model": scenario.deployment.model,
            "path": scenario.client[0].path.partition("?")[0],
            "base": self.refused_url
            if refused
            else base_url(self.provider_url, self.profile.name, scenario.id),
            "provider": self.provider_url,
        }

    async def observe(self, scenario: Scenario) -> Observation:
        """Play one scenario, once."""
        values = self.values(scenario)
        headers = {name: filled(text, values) for name, text in self.profile.headers.items()}
        asked = _for_gateway(scenario, filled(self.profile.model, values), headers)
        name = self.profile.name
        async with (
            ProviderControl(self.provider_url) as control,
            AsyncClient(base_url=self.url, trust_env=False, timeout=PATIENCE, verify=False) as client,  # noqa: S501
        ):
            await control.forget(name, scenario.id)
            if not any(request.hang_up_after is not None for request in scenario.client):
                await control.lockstep(name, scenario.id)

            async def on_frame(count: int) -> None:
                if count == 1:
                    await control.read(name, scenario.id, count)

            async def until_called() -> None:
                await control.wait_called(name, scenario.id, CALL_DEADLINE)

            keys = Credentials(self.key)
            if self.player is not None:
                exchanges = await play_with(self.player, self.url, asked, keys, {}, on_frame, LONGEST_WAIT)
            else:
                exchanges = await play(client, asked, keys=keys, on_frame=on_frame, until_called=until_called)
            cancelled = None
            if scenario.expect.provider.cancelled is not None:
                cancelled = await control.wait_cancelled(name, scenario.id, CANCEL_DEADLINE)
            state = await control.state(name, scenario.id)
        calls = [call for call in state.calls if call.route != LITELLMS_OWN]
        leaked = any(self.key in json.dumps([call.headers, call.body]) for call in calls)
        return Observation(
            scenario=scenario.id,
            target=name,
            tier="live",
            exchanges=exchanges,
            upstream=[without_noise(call.upstream()) for call in calls],
            held_back=state.held_back,
            cancelled=cancelled,
            faults=[*state.faults, *([KEY_LEAKED] if leaked else [])],
        )


def _for_gateway(scenario: Scenario, model: str, headers: Mapping[str, str]) -> Scenario:
    """Return the scenario with the model and the headers that its requests have at this gateway."""
    requests = [
        request.model_copy(
            update={
                "json_": renamed(request.json_, scenario.alias, model),
                "headers": {**request.headers, **headers},
            }
        )
        for request in scenario.client
    ]
    return scenario.model_copy(update={"client": requests})

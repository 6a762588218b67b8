"""Decides which scenarios a gateway can be judged by, says of every other one why not, and prepares the provider."""

from __future__ import annotations

from parity.catalogue.scenario import ClientRequest, ProviderReply, Scenario
from parity.catalogue.strangers import REFUSALS
from parity.gateways.profile import Profile
from parity.judging.duties import spoken_api
from parity.judging.meaning import api_of
from parity.targets.official import CLIENTS, Player, why_not_asked

LONGEST_HEADER = 4096
"""Characters of a provider's header, as proxies take them where nothing else is set."""
LONGEST_DELAY = 5.0
MODELS = ("GET", "/v1/models")
SAYS_NOTHING = "is about this project's own clauses alone"


def why_not(scenario: Scenario, profile: Profile, player: Player | None = None) -> str | None:
    """Return why a scenario isn't applicable to a gateway, asked by an official client or by none; None where it is."""
    reason = _needs(scenario) or _unclaimed(scenario, profile)
    if reason or player is None:
        return reason
    return why_not_asked(scenario, player) or _clients_own_route(scenario, profile, player)


def _clients_own_route(scenario: Scenario, profile: Profile, player: Player) -> str | None:
    paths = {CLIENTS[player].route(request.path) for request in scenario.client}
    if missing := sorted(paths - set(profile.routes)):
        return f"asks {missing[0]} with the client {player}, which this gateway doesn't claim"
    return None


def _needs(scenario: Scenario) -> str | None:
    """Say what a scenario needs that no gateway has to have."""
    deployment = scenario.deployment
    if "live" not in scenario.tiers:
        return "is played on recordings alone"
    if (deployment.memory is not None or scenario.memory) and not scenario.provider:
        return "needs a memory store"
    if deployment.params or deployment.supermemory:
        return "needs settings of a deployment, such as retries or a time limit"
    if deployment.group > 1 or deployment.fallbacks or len(scenario.provider) > len(scenario.client):
        return "is about a second deployment, or a second call"
    if any(reply.when for reply in scenario.provider):
        return "needs a provider that looks at headers"
    if any(300 <= reply.status < 400 for reply in scenario.provider):
        return "is about redirects, which the published APIs don't have"
    if any(reply.fault == "hang" or reply.delay > LONGEST_DELAY for reply in scenario.provider):
        return "needs settings of a deployment, such as retries or a time limit"
    if any(r.header_bytes or r.header_count or r.body_bytes for r in scenario.client) or any(
        reply.repeat > 1 or any(len(value) > LONGEST_HEADER for value in reply.headers.values())
        for reply in scenario.provider
    ):
        return "is about limits, which every gateway sets for itself"
    if any(r.encoding for r in scenario.client):
        return "packs its request, which the published APIs don't offer"
    if any((r.method, r.path) != MODELS and not _published(r) for r in scenario.client):
        return "asks a route that isn't among the published ones"
    return None


def _published(request: ClientRequest) -> bool:
    return request.method == "POST" and api_of(request.path) is not None


def _unclaimed(scenario: Scenario, profile: Profile) -> str | None:
    paths = {request.path.partition("?")[0] for request in scenario.client}
    if missing := sorted(paths - set(profile.routes)):
        return f"asks {missing[0]}, which this gateway doesn't claim"
    for beginning, why in profile.lacks.items():
        if scenario.id.startswith(beginning):
            return why
    refused = {request.auth for request in scenario.client} & {"wrong", "none"}
    if refused and profile.key == "passed":
        return "needs a gateway with keys of its own"
    if any(request.auth == "api-key" for request in scenario.client):
        return SAYS_NOTHING
    if scenario.deployment.refused and profile.one_provider:
        return "needs a provider of its own that can't be reached"
    if _other_wire(scenario, profile):
        return "needs a gateway that translates between two APIs"
    silent = not scenario.provider and not refused and not scenario.deployment.refused
    if silent and "/v1/models" not in paths and not set(REFUSALS) & set(scenario.clauses):
        return SAYS_NOTHING
    return None


def _other_wire(scenario: Scenario, profile: Profile) -> bool:
    for request in scenario.client:
        api = api_of(request.path)
        if request.path.partition("?")[0] in profile.translates or api is None:
            continue
        if spoken_api(scenario, api) != api:
            return True
    return False


def prepared(scenario: Scenario) -> Scenario:
    """Return the scenario for the stub provider: what the published API refuses the provider refuses, too.

    Memories are left out, since no gateway has to have any: its question and its answer are those of any other.
    """
    if scenario.provider:
        deployment = scenario.deployment.model_copy(update={"memory": None, "memory_refused": False})
        return scenario.model_copy(update={"memory": [], "deployment": deployment})
    if scenario.client[0].path == "/v1/models":
        model = {"id": scenario.id, "object": "model", "created": 1735689600, "owned_by": "parity"}
        return scenario.model_copy(
            update={"provider": [ProviderReply(json={"object": "list", "data": [model]})]}
        )
    if api_of(scenario.client[0].path) == "messages":
        body = {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "The request is invalid."},
        }
    else:
        error = {
            "message": "The request is invalid.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        body = {"error": error}
    return scenario.model_copy(update={"provider": [ProviderReply(status=400, json=body)]})

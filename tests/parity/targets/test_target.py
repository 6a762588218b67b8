"""Targets: any base URL, and what the arms are configured with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.provider.control import ProviderControl, base_url
from parity.provider.server import StubProvider
from parity.recording.file import RecordingError
from parity.targets.deployments import PROVIDER_KEY, config_document, litellm_params
from parity.targets.target import MockedTarget, UrlTarget
from tests import samples
from tests.parity.builders import scenario as built

ANSWER = samples.completion(model="theirs", choices=[])
KEY = "sk-a-key-of-some-endpoint"


def asking(**changes: Any) -> Scenario:
    """A scenario that asks for its alias, and what an endpoint answers."""
    return Scenario.model_validate(
        {
            "id": "any.question",
            "title": "A promise.",
            "provider": [{"headers": {"retry-after": "3"}, "json": ANSWER}],
            "client": [{"json": {"model": "any.question", "messages": [{"role": "user", "content": "Hi"}]}}],
            "expect": {"responses": [{"status": 200}]},
            **changes,
        }
    )


class Endpoint:
    """An OpenAI-compatible endpoint: the stub provider, with nothing of ours in front of it."""

    def __init__(self, provider: StubProvider, control: ProviderControl) -> None:
        self._provider = provider
        self.control = control

    def target(self, scenario: Scenario) -> UrlTarget:
        return UrlTarget("theirs", base_url(self._provider.url, "theirs", scenario.id), KEY, "gpt-theirs")


@pytest.fixture
async def served() -> Scenario:
    return asking()


@pytest.fixture
async def endpoint(served: Scenario) -> AsyncIterator[Endpoint]:
    async with StubProvider([served]) as provider, ProviderControl(provider.url) as control:
        yield Endpoint(provider, control)


async def test_a_url_is_observed_from_its_clients_side(served: Scenario, endpoint: Endpoint) -> None:
    """What an endpoint answers is the observation; nothing is known of what lies behind it."""
    seen = await endpoint.target(served).observe(served)
    (exchange,) = seen.exchanges
    assert exchange.response is not None
    assert exchange.response.status == 200
    assert exchange.response.json_body == ANSWER
    assert exchange.response.headers["retry-after"] == "3"
    assert (seen.target, seen.tier, seen.upstream, seen.cancelled) == ("theirs", "live", [], None)


async def test_a_url_is_asked_for_its_own_model(served: Scenario, endpoint: Endpoint) -> None:
    """The scenario's alias is replaced by the model of the endpoint, and the key is the endpoint's."""
    await endpoint.target(served).observe(served)
    (call,) = (await endpoint.control.state("theirs", served.id)).calls
    assert call.body == {"model": "gpt-theirs", "messages": [{"role": "user", "content": "Hi"}]}
    assert call.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("body", [{"model": "another", "messages": []}, {"messages": []}, ["any.question"]])
async def test_only_the_alias_is_replaced(served: Scenario, endpoint: Endpoint, body: Any) -> None:
    """A scenario that asks for some other model, or for none, asks the endpoint just so."""
    odd = asking(client=[{"json": body}])
    await endpoint.target(served).observe(odd)
    (call,) = (await endpoint.control.state("theirs", served.id)).calls
    assert call.body == body


async def test_an_endpoint_that_nobody_serves_is_an_observation() -> None:
    """A connection that fails is what the client saw, not a crash of the harness."""
    seen = await UrlTarget("gone", "http://127.0.0.1:9", KEY, "any").observe(asking())
    (exchange,) = seen.exchanges
    assert exchange.response is None
    assert str(exchange.failed).startswith("ConnectError")


async def test_an_unrecorded_scenario_cannot_be_mocked() -> None:
    """A mocked arm refuses what nobody recorded, naming the command that would."""
    with pytest.raises(RecordingError, match=r"any\.question: no recording .*`parity record`"):
        await MockedTarget("binary").observe(asking())


async def test_no_secret_is_observed() -> None:
    """The key of LiteLLM's process goes upstream, but not into the observation."""
    recorded = Catalogue.load()["chat.plain"]
    seen = await MockedTarget("binary").observe(recorded)
    (call,) = seen.upstream
    assert "sk-" not in seen.model_dump_json()
    assert call.model == "chat.plain"


@pytest.mark.parametrize(
    ("deployment", "api_base", "model"),
    [
        ({}, "http://stub/binary/chat.plain/v1", "openai/gpt-4o-mini"),
        ({"provider": "anthropic", "model": "claude"}, "http://stub/binary/chat.plain", "anthropic/claude"),
        ({"refused": True}, "http://refused/v1", "openai/gpt-4o-mini"),
    ],
)
def test_a_deployment_points_at_the_scenarios_provider(
    deployment: dict[str, Any], api_base: str, model: str
) -> None:
    """OpenAI clients want /v1 in their base, Anthropic's do not; a refusing one is somewhere else."""
    changed = built().model_copy(update={"deployment": built().deployment.model_copy(update=deployment)})
    params = litellm_params(changed, "binary", "http://stub", "http://refused")
    assert params == {"model": model, "api_key": PROVIDER_KEY, "api_base": api_base}


def test_both_arms_have_one_configuration() -> None:
    """Between the arms only the address of the provider differs."""
    binary, sdk = (config_document([built()], arm, provider_url="http://stub") for arm in ("binary", "sdk"))
    assert binary != sdk
    assert repr(binary).replace("/binary/", "/sdk/") == repr(sdk)

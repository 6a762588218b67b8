"""The official `openai` client on the two newer routes of each proxy: embeddings and responses."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest

from parity.catalogue.loading import Catalogue
from parity.provider.control import ProviderControl
from parity.targets.arms import Arm
from parity.targets.stack import Stack

PROVIDERS_ID = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"


@pytest.fixture
async def control(live_stack: Stack, served: Catalogue, arm: Arm) -> AsyncIterator[ProviderControl]:
    """The provider, which has forgotten what it was asked before."""
    async with ProviderControl(live_stack.provider_url) as made:
        for scenario in served:
            if scenario.id.startswith(("embeddings.", "responses.")):
                await made.forget(arm, scenario.id)
        yield made


@pytest.fixture
async def client(live_stack: Stack, arm: Arm, control: ProviderControl) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of one proxy."""
    async with openai.AsyncOpenAI(
        base_url=f"{live_stack.urls[arm]}/v1", api_key=live_stack.key, max_retries=0, timeout=30
    ) as made:
        yield made


async def test_embeds(client: openai.AsyncOpenAI) -> None:
    """The client asks for base64 unless told otherwise, and gets the provider's numbers out of it."""
    made = await client.embeddings.create(model="embeddings.base64", input="Hello.")
    assert [item.embedding for item in made.data] == [[0.25, -0.5]]
    assert (made.model, made.usage.total_tokens) == ("embeddings.base64", 2)


async def test_embeds_as_numbers(client: openai.AsyncOpenAI) -> None:
    """A list of numbers parses as well, and each keeps its index."""
    made = await client.embeddings.create(
        model="embeddings.inputs[texts]", input=["One.", "Two."], encoding_format="float"
    )
    assert [(item.index, item.embedding) for item in made.data] == [(0, [0.25]), (1, [0.5])]


async def test_embeds_not(client: openai.AsyncOpenAI) -> None:
    """A failure is the client's own exception, with the envelope's type and code."""
    with pytest.raises(openai.RateLimitError) as caught:
        await client.embeddings.create(model="embeddings.status[429]", input="Hello.")
    assert (caught.value.type, caught.value.code) == ("rate_limit_error", "rate_limit_exceeded")


async def test_responds(client: openai.AsyncOpenAI) -> None:
    """A response parses, under the name that was asked for."""
    response = await client.responses.create(model="responses.plain", input="Hello.")
    assert (response.model, response.status) == ("responses.plain", "completed")
    assert response.output_text == "Hello there."
    assert response.usage is not None
    assert response.usage.total_tokens == 43


async def test_goes_on(client: openai.AsyncOpenAI, control: ProviderControl, arm: Arm) -> None:
    """A response's id can be gone on from: the provider is told its own."""
    first = await client.responses.create(model="responses.plain", input="Hello.")
    await client.responses.create(model="responses.plain", input="And?", previous_response_id=first.id)
    asked = (await control.state(arm, "responses.plain")).calls
    assert [call.body.get("previous_response_id") for call in asked] == [None, PROVIDERS_ID]


async def test_streams_events(client: openai.AsyncOpenAI) -> None:
    """Each event is of the client's own class, from the first to the last, and they add up to the text."""
    stream = await client.responses.create(model="responses.stream", input="Hello.", stream=True)
    events = [event async for event in stream]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "Hello there."
    last = events[-1]
    assert last.type == "response.completed"
    assert (last.response.model, last.response.output_text) == ("responses.stream", "Hello there.")


@pytest.mark.parametrize("model", ["responses.stream", "responses.anthropic_stream"])
async def test_accumulates(client: openai.AsyncOpenAI, model: str) -> None:
    """The client's own accumulation of the events comes out right, whoever the provider is."""
    async with client.responses.stream(model=model, input="Hello.") as stream:
        response = await stream.get_final_response()
    assert (response.model, response.output_text) == (model, "Hello there.")


async def test_accumulates_tool_calls(client: openai.AsyncOpenAI) -> None:
    """So does that of a call of a tool."""
    async with client.responses.stream(model="responses.stream_tool_call", input="Weather?") as stream:
        response = await stream.get_final_response()
    (call,) = response.output
    assert call.type == "function_call"
    assert (call.call_id, call.name, call.arguments) == ("call_7fg1", "weather", '{"city":"Oslo"}')


async def test_breaks_in_the_middle(client: openai.AsyncOpenAI) -> None:
    """A failure after the first event is raised, with the envelope in it."""
    stream = await client.responses.create(
        model="responses.stream_fails[rate_limit]", input="Hello.", stream=True
    )
    with pytest.raises(openai.APIError, match="Rate limit reached") as caught:
        [event async for event in stream]
    assert (caught.value.type, caught.value.code) == ("rate_limit_error", "rate_limit_exceeded")


async def test_fails_before_the_first_event(client: openai.AsyncOpenAI) -> None:
    """A failure before it is the exception of its status."""
    with pytest.raises(openai.InternalServerError, match="overloaded"):
        await client.responses.create(model="responses.status_stream[503]", input="Hello.", stream=True)

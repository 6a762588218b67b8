"""The official `anthropic` client in front of each proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from parity.catalogue.loading import Catalogue
from parity.provider.control import ProviderControl
from parity.targets.arms import Arm
from parity.targets.stack import Stack

QUESTION: Any = [{"role": "user", "content": "Hello?"}]
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

RAISED = {
    "400": anthropic.BadRequestError,
    "401": anthropic.AuthenticationError,
    "403": anthropic.PermissionDeniedError,
    "404": anthropic.NotFoundError,
    "413": anthropic.APIStatusError,
    "429": anthropic.RateLimitError,
    "500": anthropic.InternalServerError,
    "502": anthropic.InternalServerError,
    "503": anthropic.InternalServerError,
    "504": anthropic.InternalServerError,
    "529": anthropic.InternalServerError,
}


@pytest.fixture
async def control(live_stack: Stack, served: Catalogue, arm: Arm) -> AsyncIterator[ProviderControl]:
    """The provider, which has forgotten what it was asked before."""
    async with ProviderControl(live_stack.provider_url) as made:
        for scenario in served:
            await made.forget(arm, scenario.id)
        yield made


@pytest.fixture
async def client(
    live_stack: Stack, control: ProviderControl, arm: Arm
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """A client of one proxy, its key sent as `x-api-key`."""
    async with anthropic.AsyncAnthropic(
        base_url=live_stack.urls[arm], api_key=live_stack.key, max_retries=0, timeout=30
    ) as made:
        yield made


async def test_completes(client: anthropic.AsyncAnthropic) -> None:
    """A message parses, under the name that was asked for."""
    message = await client.messages.create(model="messages.plain", max_tokens=64, messages=QUESTION)
    assert message.model == "messages.plain"
    assert message.stop_reason == "end_turn"
    assert [block.text for block in message.content if block.type == "text"] == ["Hello! How can I help?"]
    assert message.usage.output_tokens == 9


async def test_answers_to_a_bearer_token(live_stack: Stack, arm: Arm) -> None:
    """Claude Code may send the key as a token: that opens the door, too."""
    async with anthropic.AsyncAnthropic(
        base_url=live_stack.urls[arm], auth_token=live_stack.key, api_key=None, max_retries=0
    ) as made:
        message = await made.messages.create(model="messages.plain", max_tokens=64, messages=QUESTION)
    assert message.id == "msg_01XFDUDYJgAACzvnptvVoYEL"


async def test_streams(client: anthropic.AsyncAnthropic, served: Catalogue) -> None:
    """Text arrives in pieces, and the client's own accumulation is the whole message."""
    expected = served["messages.stream"].expect.responses[0].stream
    assert expected is not None
    async with client.messages.stream(model="messages.stream", max_tokens=64, messages=QUESTION) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert "".join(pieces) == expected.text
    assert len(pieces) > 1
    assert message.model == "messages.stream"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 9


@pytest.mark.parametrize("model", ["messages.tool_use", "messages.openai_tool_use"])
async def test_calls_tools(client: anthropic.AsyncAnthropic, model: str) -> None:
    """A tool_use block parses, its input an object, whoever the provider is."""
    message = await client.messages.create(model=model, max_tokens=64, messages=QUESTION, tools=[TOOL])
    assert message.stop_reason == "tool_use"
    (call,) = [block for block in message.content if block.type == "tool_use"]
    assert (call.name, call.input) == ("get_weather", {"city": "San José"})


@pytest.mark.parametrize(
    ("model", "cities"),
    [("messages.tool_use_stream", ["San José", "Malmö"]), ("messages.openai_tool_use_stream", ["Malmö"])],
)
async def test_streams_tools(client: anthropic.AsyncAnthropic, model: str, cities: list[str]) -> None:
    """Streamed tool inputs are put together by the client itself."""
    async with client.messages.stream(model=model, max_tokens=64, messages=QUESTION, tools=[TOOL]) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "tool_use"
    assert [b.input for b in message.content if b.type == "tool_use"] == [{"city": city} for city in cities]


async def test_streams_thinking(client: anthropic.AsyncAnthropic) -> None:
    """Thinking and its signature come out whole."""
    async with client.messages.stream(
        model="messages.thinking_stream",
        max_tokens=2048,
        messages=QUESTION,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        message = await stream.get_final_message()
    thinking = message.content[0]
    assert thinking.type == "thinking"
    assert thinking.thinking == "27 is 3 cubed."
    assert thinking.signature


async def test_an_openai_model_answers(client: anthropic.AsyncAnthropic) -> None:
    """A model of another provider is a model like any other."""
    message = await client.messages.create(
        model="messages.openai_plain", max_tokens=64, system="Be nice.", messages=QUESTION
    )
    assert [block.text for block in message.content if block.type == "text"] == ["Hello!"]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (19, 10)


async def test_betas_reach_the_provider(
    client: anthropic.AsyncAnthropic, control: ProviderControl, arm: Arm, live_stack: Stack
) -> None:
    """The beta interface works; its header arrives at the provider, the client's key doesn't."""
    await client.beta.messages.create(
        model="messages.headers", max_tokens=64, messages=QUESTION, betas=["context-1m-2025-08-07"]
    )
    (call,) = [c for c in (await control.state(arm, "messages.headers")).calls if c.route.startswith("POST")]
    assert "context-1m-2025-08-07" in call.headers["anthropic-beta"].split(",")
    assert call.headers["anthropic-version"] == client.default_headers["anthropic-version"]
    assert live_stack.key not in str(call.headers)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("status", RAISED)
async def test_raises_the_right_class(
    client: anthropic.AsyncAnthropic, served: Catalogue, status: str, stream: bool
) -> None:
    """Each status is the client's own exception, with the provider's sentence."""
    scenario = served[f"messages.status[{status}]"]
    with pytest.raises(RAISED[status]) as caught:
        await client.messages.create(model=scenario.alias, max_tokens=64, messages=QUESTION, stream=stream)
    assert caught.value.status_code == int(status)
    assert caught.value.body == scenario.expect.responses[0].json_


async def test_a_timeout_is_a_504(client: anthropic.AsyncAnthropic) -> None:
    """A provider that doesn't answer in time is the server's failure in the client's eyes."""
    with pytest.raises(anthropic.InternalServerError) as caught:
        await client.messages.create(model="messages.timeout[plain]", max_tokens=64, messages=QUESTION)
    assert caught.value.status_code == 504


@pytest.mark.parametrize("model", ["messages.error_event[overloaded]", "messages.half[cut]"])
async def test_an_error_in_the_middle_is_raised_after_the_text(
    client: anthropic.AsyncAnthropic, served: Catalogue, model: str
) -> None:
    """The text before an error event is read, then the client raises what it says."""
    expected = served[model].expect.responses[0].stream
    assert expected is not None
    pieces: list[str] = []

    async def read() -> None:
        async with client.messages.stream(model=model, max_tokens=64, messages=QUESTION) as stream:
            async for piece in stream.text_stream:
                pieces.append(piece)

    with pytest.raises(anthropic.APIStatusError) as caught:
        await read()
    assert caught.value.body == {"type": "error", "error": expected.error}
    assert "".join(pieces) == expected.text


async def test_a_wrong_key_is_refused(live_stack: Stack, arm: Arm) -> None:
    """Without the master key there is an AuthenticationError of ours."""
    async with anthropic.AsyncAnthropic(
        base_url=live_stack.urls[arm], api_key="sk-ant-somebody-elses", max_retries=0
    ) as stranger:
        with pytest.raises(anthropic.AuthenticationError, match="The API key is not valid"):
            await stranger.messages.create(model="messages.plain", max_tokens=64, messages=QUESTION)


async def test_an_unknown_model_is_not_found(client: anthropic.AsyncAnthropic) -> None:
    """A model that isn't configured is the client's NotFoundError."""
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(model="no-such-model", max_tokens=64, messages=QUESTION)


async def test_leaving_in_the_middle_cancels(
    client: anthropic.AsyncAnthropic, control: ProviderControl, arm: Arm
) -> None:
    """A reader who closes the client's stream takes the provider's call with it."""
    async with client.messages.stream(model="messages.hang_up", max_tokens=64, messages=QUESTION) as stream:
        async for piece in stream.text_stream:
            if "there" in piece:  # the last word before a silence of many seconds
                break
    assert await control.wait_cancelled(arm, "messages.hang_up", 20)


@pytest.mark.parametrize("case", ["plain", "stream", "openai", "openai_stream"])
async def test_leaving_before_the_first_event_cancels(
    client: anthropic.AsyncAnthropic, control: ProviderControl, arm: Arm, case: str
) -> None:
    """A caller who gives up waiting is cancelled at the provider, too."""
    model = f"messages.hang_up_early[{case}]"
    asking = asyncio.create_task(
        client.messages.create(model=model, max_tokens=64, messages=QUESTION, stream=case.endswith("stream"))
    )
    assert await control.wait_called(arm, model, 20)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await control.wait_cancelled(arm, model, 20)


# What the ledger says of sessions.challenge[anthropic]: in the LiteLLM process Anthropic calls keep no cookies.
PASSES = {"binary": False, "sdk": True}


async def test_passes_a_cookie_challenge(client: anthropic.AsyncAnthropic, arm: Arm) -> None:
    """The cookie that a 503 sets is sent back with the user's next call, where the arm can keep it."""

    async def ask() -> str:
        message = await client.messages.create(
            model="sessions.challenge[anthropic]",
            max_tokens=64,
            messages=QUESTION,
            extra_headers={"x-memory-user-id": "the-official-anthropic-client"},
        )
        return "".join(block.text for block in message.content if block.type == "text")

    with pytest.raises(anthropic.InternalServerError):
        await ask()
    if PASSES[arm]:
        assert await ask() == "Welcome."
    else:
        with pytest.raises(anthropic.InternalServerError):
            await ask()

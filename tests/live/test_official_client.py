"""The official `openai` client in front of each proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from parity.catalogue.loading import Catalogue
from parity.provider.control import ProviderControl
from parity.targets.arms import Arm
from parity.targets.stack import Stack

QUESTION: Any = [{"role": "user", "content": "Hello?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}

# The 400 has a test of its own: of its codes LiteLLM's process keeps only some.
RAISED = {
    "401": openai.AuthenticationError,
    "403": openai.PermissionDeniedError,
    "404": openai.NotFoundError,
    "408": openai.APIStatusError,
    "409": openai.ConflictError,
    "413": openai.APIStatusError,
    "422": openai.UnprocessableEntityError,
    "429": openai.RateLimitError,
    "500": openai.InternalServerError,
    "502": openai.InternalServerError,
    "503": openai.InternalServerError,
    "504": openai.InternalServerError,
    "529": openai.InternalServerError,
}


@pytest.fixture
async def client(live_stack: Stack, served: Catalogue, arm: Arm) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client of one proxy; the provider has forgotten what it was asked before."""
    async with ProviderControl(live_stack.provider_url) as control:
        for scenario in served:
            await control.forget(arm, scenario.id)
    async with openai.AsyncOpenAI(
        base_url=f"{live_stack.urls[arm]}/v1", api_key=live_stack.key, max_retries=0, timeout=30
    ) as made:
        yield made


async def test_completes(client: openai.AsyncOpenAI) -> None:
    """A completion parses, under the name that was asked for."""
    completion = await client.chat.completions.create(model="chat.plain", messages=QUESTION)
    assert completion.model == "chat.plain"
    assert completion.choices[0].message.content == "Hello! How can I assist you today?"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 29


async def test_streams(client: openai.AsyncOpenAI, served: Catalogue) -> None:
    """Chunks arrive one by one and add up to the provider's text."""
    expected = served["streaming.plain"].expect.responses[0].stream
    assert expected is not None
    stream = await client.chat.completions.create(model="streaming.plain", messages=QUESTION, stream=True)
    chunks = [chunk async for chunk in stream]
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "".join(pieces) == expected.text
    assert len(pieces) > 1
    assert {chunk.model for chunk in chunks} == {"streaming.plain"}
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_streams_usage(client: openai.AsyncOpenAI, served: Catalogue) -> None:
    """The usage that was asked for is on the last chunk."""
    expected = served["streaming.usage"].expect.responses[0].stream
    assert expected is not None
    stream = await client.chat.completions.create(
        model="streaming.usage", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == expected.usage["total_tokens"]


async def test_calls_tools(client: openai.AsyncOpenAI) -> None:
    """A tool call parses, its id, name and arguments untouched."""
    completion = await client.chat.completions.create(model="chat.tool_call", messages=QUESTION, tools=[TOOL])
    message = completion.choices[0].message
    assert message.content is None
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.id == "call_f9KzT1sXb0uQyV6mN2pRw3Ja"
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city":"Paris","unit":"celsius"}'


async def test_streams_tools(client: openai.AsyncOpenAI) -> None:
    """The client's own accumulation of a streamed tool call comes out right."""
    async with client.chat.completions.stream(
        model="streaming.tool_call", messages=QUESTION, tools=[TOOL]
    ) as stream:
        completion = await stream.get_final_completion()
    tool_calls = completion.choices[0].message.tool_calls
    assert tool_calls is not None
    (call,) = tool_calls
    assert (call.id, call.function.name) == ("call_Zq3GhT9xWb1QyC7mN5pRk2Jd", "get_weather")
    assert call.function.arguments == '{"city":"Malmö"}'


async def test_lists_models(client: openai.AsyncOpenAI, served: Catalogue) -> None:
    """The client's list of models is the configured one."""
    listed = [model.id async for model in client.models.list()]
    assert listed == [scenario.alias for scenario in served]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("status", RAISED)
async def test_raises_the_right_class(
    client: openai.AsyncOpenAI, served: Catalogue, status: str, stream: bool
) -> None:
    """Each status is the client's own exception, with type, code and param of the envelope."""
    scenario = served[f"errors.openai_status[{status}]"]
    (expected,) = scenario.expect.responses
    with pytest.raises(RAISED[status]) as caught:
        await client.chat.completions.create(
            model=scenario.alias, messages=QUESTION, temperature=3.5, stream=stream
        )
    error = caught.value
    assert error.status_code == int(status)
    told = {"message": error.body["message"], "type": error.type, "param": error.param, "code": error.code}
    assert told == expected.json_["error"]
    assert error.response.headers.get("retry-after") == expected.headers["retry-after"]


@pytest.mark.parametrize(
    "scenario_id", ["errors.context_length", "errors.content_policy", "errors.openai_status[400]"]
)
async def test_a_bad_request_keeps_what_it_is_about(
    client: openai.AsyncOpenAI, served: Catalogue, scenario_id: str
) -> None:
    """A 400 is a BadRequestError with the provider's sentence, and the codes that are kept apart."""
    expected = served[scenario_id].expect.responses[0].json_["error"]
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=scenario_id, messages=QUESTION)
    assert caught.value.body["message"] == expected["message"]
    assert caught.value.type == "invalid_request_error"
    if scenario_id != "errors.openai_status[400]":
        assert caught.value.code == expected["code"]


async def test_a_rate_limit_says_how_long_to_wait(client: openai.AsyncOpenAI) -> None:
    """A 429 carries the provider's own retry-after."""
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="errors.openai_status[429]", messages=QUESTION)
    assert caught.value.response.headers["retry-after"] == "20"
    assert caught.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize("model", ["errors.timeout[openai]", "errors.timeout[openai_stream]"])
async def test_an_upstream_timeout_is_a_504(client: openai.AsyncOpenAI, model: str) -> None:
    """A provider that doesn't answer in time is the server's failure in the client's eyes."""
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=model, messages=QUESTION, stream="stream" in model)
    assert (caught.value.status_code, caught.value.type) == (504, "timeout_error")
    assert caught.value.code == "request_timeout"


async def test_the_clients_own_timeout_is_its_own(client: openai.AsyncOpenAI) -> None:
    """A client that is less patient than the proxy gives up as it always does."""
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.3).chat.completions.create(
            model="streaming.hang_up_early[plain]", messages=QUESTION
        )


async def test_an_error_in_the_middle_is_raised_after_the_text(client: openai.AsyncOpenAI) -> None:
    """The text before an error frame is read, then the client raises the provider's sentence."""
    pieces: list[str] = []

    async def read() -> None:
        stream = await client.chat.completions.create(
            model="streaming.error_frame", messages=QUESTION, stream=True
        )
        async for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError, match="The server had an error while processing your request"):
        await read()
    assert "".join(pieces) == "So far so good"


async def test_a_wrong_key_is_refused(live_stack: Stack, arm: Arm) -> None:
    """Without the master key there is an AuthenticationError of ours."""
    async with openai.AsyncOpenAI(
        base_url=f"{live_stack.urls[arm]}/v1", api_key="sk-somebody-elses", max_retries=0
    ) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            await stranger.chat.completions.create(model="chat.plain", messages=QUESTION)
    assert (caught.value.type, caught.value.code) == ("authentication_error", "invalid_api_key")


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    """A model that isn't configured is the client's NotFoundError."""
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="no-such-model", messages=QUESTION)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_passes_a_cookie_challenge(client: openai.AsyncOpenAI) -> None:
    """The cookie that a 503 sets is sent back with the user's next call, which the client never sees."""
    mine = {"x-memory-user-id": "the-official-openai-client"}
    model = "sessions.challenge[openai]"
    with pytest.raises(openai.InternalServerError) as challenged:
        await client.chat.completions.create(model=model, messages=QUESTION, extra_headers=mine)
    assert "set-cookie" not in challenged.value.response.headers
    completion = await client.chat.completions.create(model=model, messages=QUESTION, extra_headers=mine)
    assert completion.choices[0].message.content == "Welcome."

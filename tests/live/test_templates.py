"""The kit's templates against a real LiteLLM: a process, and `acompletion`, before a provider that says the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from parity.catalogue.scenario import Scenario
from parity.judging.normalise import mask_json
from parity.kit import (
    ToolCall,
    mock_completion_response,
    mock_error_response,
    mock_litellm_exception,
    mock_message_response,
    mock_model_response,
    mock_models_list,
    mock_stream_wrapper,
    mock_streaming_chunks_sequence,
    samples,
)
from parity.kit.completion import Completion
from parity.kit.completion import stream as streamed
from parity.kit.samples import Route
from parity.provider.server import refused_url, serve_in_thread
from parity.targets import doubles
from parity.targets.arms import litellm_process
from parity.targets.deployments import config_document
from proxies.chunks import WRITTEN

TEXT = 'Grüße aus Malmö, "zitiert" 🎈'
WORDS = ["Grüße", " aus", " Malmö"]
SENTENCE = 'Not "now", please.'
CALL = ToolCall("find_train", {"to": "Malmö", "seats": 2}, "call_1aB2cD3eF4gH5iJ6kL7mN8oP")
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
ERRORS = [("chat/completions", status) for status in samples.statuses("chat/completions")] + [
    ("messages", status) for status in samples.statuses("messages")
]
UNCHANGED = "context_length"
KINDS = ("context_length", "content_policy", "insufficient_quota")


def saying(scenario_id: str, change: Any) -> Scenario:
    """A built-in scenario whose provider says something else."""
    scenario = samples.scenario(scenario_id)
    reply = scenario.provider[0]
    if reply.sse is not None:
        events = [event.model_copy(update={"data": change(deepcopy(event.data))}) for event in reply.sse]
        kept = [event for event in events if event.data is not None]
        changed = reply.model_copy(update={"sse": kept})
    else:
        changed = reply.model_copy(update={"json_": change(deepcopy(reply.json_))})
    return scenario.model_copy(update={"provider": [changed]})


def says_text(body: Any) -> Any:
    body["choices"][0]["message"]["content"] = TEXT
    body["choices"][0]["finish_reason"] = "length"
    body["usage"] |= USAGE
    return body


def calls_tool(body: Any) -> Any:
    function = {"name": CALL.name, "arguments": CALL.text}
    body["choices"][0]["message"]["tool_calls"] = [{"id": CALL.id, "type": "function", "function": function}]
    return body


def streams_words() -> Any:
    words = iter(WORDS)

    def change(data: Any) -> Any:
        if isinstance(data, dict) and data["choices"][0]["delta"].get("content"):
            data["choices"][0]["delta"]["content"] = next(words)
        return data

    return change


def streams_one_call(data: Any) -> Any:
    """The first of the recorded parallel calls, with all its arguments in one piece."""
    for call in data["choices"][0]["delta"].get("tool_calls", ()) if isinstance(data, dict) else ():
        if call["index"] == 1 or call["function"].get("arguments") not in ("", '{"city": '):
            return None
        if call.get("id"):
            call["id"], call["function"]["name"] = CALL.id, CALL.name
        else:
            call["function"]["arguments"] = CALL.text
    return data


def counts(data: Any) -> Any:
    if isinstance(data, dict) and data.get("usage"):
        data["usage"] |= USAGE
    return data


def says_message(body: Any) -> Any:
    body["content"][0]["text"] = TEXT
    body["usage"] |= {"input_tokens": 7, "output_tokens": 5}
    return body


def uses_tool(body: Any) -> Any:
    blocks = {block["type"]: block for block in body["content"]}
    tool = {**blocks["tool_use"], "id": CALL.id, "name": CALL.name, "input": json.loads(CALL.text)}
    body["content"] = [{**blocks["text"], "text": TEXT}, tool]
    return body


def same_sentence(body: Any) -> Any:
    return body


def complains(body: Any) -> Any:
    body["error"]["message"] = SENTENCE
    return body


SERVED = {
    scenario.id: scenario
    for scenario in (
        saying("chat.plain", says_text),
        saying("chat.tool_call", calls_tool),
        saying("streaming.plain", streams_words()),
        saying("streaming.usage", counts),
        saying("streaming.parallel_tool_calls", streams_one_call),
        saying("messages.plain", says_message),
        saying("messages.tool_use", uses_tool),
        saying("messages.stream", lambda data: data),
        *(saying(samples.error_id(route, status, None), complains) for route, status in ERRORS),
        *(
            saying(
                samples.error_id("chat/completions", None, kind),
                same_sentence if kind == UNCHANGED else complains,
            )
            for kind in KINDS
        ),
    )
}


@dataclass
class Real:
    """A LiteLLM process, and the deployments for LiteLLM in this process."""

    url: str
    key: str
    deployments: dict[str, dict[str, Any]]

    def ask(self, scenario_id: str) -> httpx.Response:
        scenario = SERVED[scenario_id]
        request = scenario.client[0]
        assert isinstance(request.json_, dict)
        return httpx.post(
            f"{self.url}{request.path}",
            json={**request.json_, "model": scenario.alias},
            headers={"authorization": f"Bearer {self.key}"},
            timeout=60,
            trust_env=False,
        )

    async def call(self, scenario_id: str) -> Any:
        import litellm

        request = SERVED[scenario_id].client[0]
        assert isinstance(request.json_, dict)
        body = {name: value for name, value in request.json_.items() if name != "model"}
        function = (
            litellm.anthropic.messages.acreate if request.path == "/v1/messages" else litellm.acompletion
        )
        return await function(**{**body, **self.deployments[scenario_id], "num_retries": 0, "max_retries": 0})


@pytest.fixture(scope="module")
def real() -> Iterator[Real]:
    with ExitStack() as closing:
        provider = closing.enter_context(serve_in_thread(SERVED.values()))
        refused = closing.enter_context(refused_url())
        document = config_document(
            SERVED.values(), "binary", provider_url=provider.url, refused_url=refused, master_key="sk-unused"
        )
        process = litellm_process(document)
        portal = closing.enter_context(
            start_blocking_portal()
        )  # a loop that goes on reading what LiteLLM says
        closing.callback(portal.call, process.stop)
        portal.call(process.start)
        sdk = config_document(SERVED.values(), "sdk", provider_url=provider.url, refused_url=refused)
        params = {scenario.alias: scenario.id for scenario in SERVED.values()}
        deployments = {params[d["model_name"]]: d["litellm_params"] for d in sdk["model_list"]}
        yield Real(process.url, process.key, deployments)


def same(template: Any, answered: Any) -> bool:
    assert mask_json(template) == mask_json(answered)
    return True


def chunks_of(response: httpx.Response) -> list[Any]:
    frames = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


def test_completion(real: Real) -> None:
    """A chat completion's keys, types and nulls are those of the process, whatever is said in it."""
    template = mock_completion_response(TEXT, model="chat.plain", finish_reason="length", usage=USAGE)
    assert same(template, real.ask("chat.plain").json())


def test_completion_with_tool_calls(real: Real) -> None:
    """So are those of one that calls a tool."""
    assert same(
        mock_completion_response(tool_calls=[CALL], model="chat.tool_call"), real.ask("chat.tool_call").json()
    )


def test_stream(real: Real) -> None:
    """A stream has the chunks of the process: the role, one a piece, the end."""
    template = mock_streaming_chunks_sequence(WORDS, model="streaming.plain")
    assert same(template, chunks_of(real.ask("streaming.plain")))


def test_stream_with_usage(real: Real) -> None:
    """With usage there is one chunk more, of the process's shape."""
    template = mock_streaming_chunks_sequence(["Four", " words."], model="streaming.usage", usage=USAGE)
    answered = chunks_of(real.ask("streaming.usage"))
    for chunk, other in zip(template, answered, strict=True):
        chunk["id"] = other["id"]
    # What the provider wrote is marked, for the front to hand on.
    for usage in (template[-1]["usage"], answered[-1]["usage"]):
        said = json.loads(usage["prompt_tokens_details"].pop(WRITTEN))
        assert said["total_tokens"] == usage["total_tokens"]
        usage.pop("cost", None)  # LiteLLM's own, of what it thinks the model costs
    assert same(template, answered)


def test_stream_with_tool_calls(real: Real) -> None:
    """A streamed tool call comes in the process's pieces."""
    template = mock_streaming_chunks_sequence(model="streaming.parallel_tool_calls", tool_calls=[CALL])
    answered = chunks_of(real.ask("streaming.parallel_tool_calls"))
    # In that recording the role comes alone; here it stands in a first chunk with empty content.
    same_deltas = [chunk["choices"] for chunk in template[1:]], [chunk["choices"] for chunk in answered[1:]]
    assert same(*same_deltas)


def test_message(real: Real) -> None:
    """A message has the shape of the process's, too."""
    template = mock_message_response(
        TEXT, model="messages.plain", usage={"prompt_tokens": 7, "completion_tokens": 5}
    )
    assert same(template, real.ask("messages.plain").json())


def test_message_with_tool_use(real: Real) -> None:
    """So has one that uses a tool."""
    template = mock_message_response(TEXT, model="messages.tool_use", tool_calls=[CALL])
    assert same(template, real.ask("messages.tool_use").json())


def test_message_stream(real: Real) -> None:
    """The events of a streamed message are those of the process."""
    template = streamed(
        Completion(pieces=["Good", " morning", " to", " you"]), "messages", "process", "messages.stream"
    )
    data = [line for line in real.ask("messages.stream").text.splitlines() if line.startswith("data: ")]
    assert same(template, [json.loads(line.removeprefix("data: ")) for line in data])


@pytest.mark.parametrize(("route", "status"), ERRORS)
def test_error(real: Real, route: Route, status: int) -> None:
    """An error's envelope, with what LiteLLM puts around the provider's sentence, is the process's."""
    scenario_id = samples.error_id(route, status, None)
    answered = real.ask(scenario_id)
    assert answered.status_code == samples.process_answer(scenario_id).status
    assert same(mock_error_response(status, SENTENCE, route=route, model=scenario_id), answered.json())


@pytest.mark.parametrize("kind", KINDS)
def test_error_kind(real: Real, kind: Any) -> None:
    """An error by its kind keeps what tells it apart."""
    scenario_id = samples.error_id("chat/completions", None, kind)
    template = mock_error_response(
        kind=kind, message=None if kind == UNCHANGED else SENTENCE, model=scenario_id
    )
    assert same(template, real.ask(scenario_id).json())


def test_models(real: Real) -> None:
    """The list of models is what a process lists, without what LiteLLM adds of its price list."""
    answered = httpx.get(
        f"{real.url}/v1/models", headers={"authorization": f"Bearer {real.key}"}, trust_env=False
    ).json()
    listed = {entry["id"]: entry for entry in answered.pop("data")}
    template = mock_models_list([scenario.alias for scenario in SERVED.values()])
    for entry in template.pop("data"):
        more = {name: value for name, value in listed[entry["id"]].items() if name not in entry}
        assert listed[entry["id"]] == {**entry, **more}
        assert set(more) <= {"max_input_tokens", "max_output_tokens", "mode"}
    assert template == answered


def test_alive(real: Real) -> None:
    """The process says that it is alive in the words of the double."""
    answered = httpx.get(f"{real.url}{doubles.LIVENESS}", trust_env=False)
    assert (answered.status_code, answered.json()) == (200, "I'm alive!")


async def test_model_response(real: Real) -> None:
    """The object is the one that `acompletion` returns."""
    template = mock_model_response(TEXT, model="gpt-4o-mini-2024-07-18", finish_reason="length", usage=USAGE)
    answered = await real.call("chat.plain")
    assert type(template) is type(answered)
    assert same(template.model_dump(mode="json"), answered.model_dump(mode="json"))
    unset = {"mode": "json", "exclude_none": True, "exclude_unset": True}
    assert same(template.model_dump(**unset), answered.model_dump(**unset))


async def test_stream_wrapper(real: Real) -> None:
    """The wrapper yields the chunks that `acompletion` yields, and is of its class."""
    template, answered = mock_stream_wrapper(WORDS), await real.call("streaming.plain")
    assert isinstance(template, type(answered))
    pairs = [[chunk.model_dump(mode="json") async for chunk in stream] for stream in (template, answered)]
    assert same(*[[{**chunk, "id": ""} for chunk in chunks] for chunks in pairs])


@pytest.mark.parametrize("status", samples.statuses("chat/completions"))
async def test_exception(real: Real, status: int) -> None:
    """The exception has the class, status and message of the one that `acompletion` raises."""
    with pytest.raises(Exception) as raised:  # noqa: PT011  # which one is what is compared
        await real.call(samples.error_id("chat/completions", status, None))
    template: Any = mock_litellm_exception(status, SENTENCE)
    answered: Any = raised.value
    assert type(template) is type(answered)
    assert template.status_code == answered.status_code
    assert str(template) == str(answered)
    assert template.body == answered.body

"""Embeddings and responses in the sdk architecture, LiteLLM's HTTP played by a transport."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import httpx
import pytest

from proxies.backend import Call
from proxies.config.models import ProxyConfig
from proxies.errors import UNREADABLE, ProxyError
from proxies.sessions import LiteLLMSessionManager
from tests import samples
from tests.proxies.front.fakes import KEY
from tests.upstream import Upstream

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
pytest.importorskip("litellm")
from proxies.sdk import backend as sdk

PARAMS = {"model": "openai/some-model", "api_key": "k", "api_base": "http://openai.test/v1"}
EMBEDDINGS = Call(
    "embeddings", "fast", {"input": "Hi.", "encoding_format": "base64"}, {"traceparent": "t"}, "ann"
)
RESPONSE = Call("responses", "fast", {"input": "Hi."}, {"traceparent": "t"}, "ann")
STREAM = Call("responses", "fast", {"input": "Hi.", "stream": True})
VECTORS = {
    "object": "list",
    "model": "some-model-2",
    "data": [{"object": "embedding", "index": 0, "embedding": "AACAPg=="}],
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
SAID = samples.response("Hello.", id="resp_1", model="some-model-2")


def backend(provider: Upstream) -> sdk.SdkBackend:
    models = [{"model_name": "fast", "litellm_params": PARAMS}]
    return sdk.SdkBackend(
        ProxyConfig.model_validate({"model_list": models, "general_settings": {"master_key": KEY}}),
        provider.sessions(LiteLLMSessionManager),
    )


async def test_embeddings(provider: Upstream) -> None:
    """The call goes through the user's session as the client made it; the answer keeps base64."""
    seen = provider(httpx.Response(200, json=VECTORS, headers={"x-request-id": "r"}))
    reply = await backend(provider).complete(EMBEDDINGS)
    [request] = seen
    assert request.url == "http://openai.test/v1/embeddings"
    assert request.headers["traceparent"] == "t"
    assert json.loads(request.content) == {"model": "some-model", "input": "Hi.", "encoding_format": "base64"}
    assert reply.body["data"] == VECTORS["data"]
    assert reply.body["usage"]["completion_tokens_details"] is None
    assert reply.headers["x-request-id"] == "r"


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_embeddings_are_asked_for_once(provider: Upstream, status: int) -> None:
    """A failure isn't repeated behind our back, and keeps its sentence."""
    error = {"message": "Not now.", "type": "t", "param": None, "code": None}
    seen = provider(httpx.Response(status, json={"error": error}))
    with pytest.raises(ProxyError, match=r"^Not now\.$") as caught:
        await backend(provider).complete(EMBEDDINGS)
    assert (caught.value.status, len(seen)) == (status, 1)


@pytest.mark.parametrize("call", [EMBEDDINGS, RESPONSE], ids=["embeddings", "responses"])
@pytest.mark.parametrize("text", ["<html>Hi</html>", "", '{"id": "re'])
async def test_an_answer_that_cannot_be_read(provider: Upstream, call: Call, text: str) -> None:
    """A success that is no JSON of the route's is the provider's failure."""
    provider(httpx.Response(200, text=text, headers={"content-type": "text/html"}))
    with pytest.raises(ProxyError, match=UNREADABLE) as caught:
        await backend(provider).complete(call)
    assert caught.value.status == 502


async def test_a_response(provider: Upstream) -> None:
    """OpenAI is asked for a response, whose nulls stay; its id leads back to the provider's."""
    seen = provider(httpx.Response(200, json=SAID))
    first = backend(provider)
    reply = await first.complete(RESPONSE)
    assert seen[0].url == "http://openai.test/v1/responses"
    assert seen[0].headers["traceparent"] == "t"
    assert reply.body["error"] is None
    assert reply.body["output"][0]["content"][0]["text"] == "Hello."
    await first.complete(
        Call("responses", "fast", {"input": "And?", "previous_response_id": reply.body["id"]})
    )
    assert json.loads(seen[1].content)["previous_response_id"] == "resp_1"


async def test_events(provider: Upstream) -> None:
    """Events come as they were named, also of a model that LiteLLM doesn't know, once we have started."""
    sent = samples.response_events("Hello.", id="resp_1", model="some-model-2")
    text = samples.as_events(sent)
    provider(httpx.Response(200, text=text, headers={"content-type": "text/event-stream"}))
    started = backend(provider)
    await started.start()
    stream = await started.stream(STREAM)
    events = [event async for event in stream]
    await stream.aclose()
    await stream.aclose()
    assert [event["type"] for event in events] == [event["type"] for event in sent]
    assert events[1].items() >= sent[1].items()


async def test_closing_half_way_closes_the_provider_call(provider: Upstream) -> None:
    """A stream of events that is left has its provider's connection closed, though LiteLLM's can't be."""
    closed: list[bool] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            event = {"type": "response.created", "sequence_number": 0, "response": SAID}
            while True:
                yield f"data: {json.dumps(event)}\n\n".encode()
                await asyncio.sleep(0.01)

        async def aclose(self) -> None:
            closed.append(True)

    provider(httpx.Response(200, stream=Endless(), headers={"content-type": "text/event-stream"}))
    started = backend(provider)
    await started.start()
    stream = await started.stream(STREAM)
    assert (await anext(aiter(stream)))["type"] == "response.created"
    await stream.aclose()
    assert closed

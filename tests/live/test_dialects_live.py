"""LiteLLM's own clients for Gemini and Ollama understand what the stub provider says in these dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from parity.catalogue.loading import Catalogue
from parity.provider.server import serve_in_thread

pytestmark = pytest.mark.live
MESSAGES = [{"role": "user", "content": "Hello?"}]
IDS = ["chat.plain", "chat.tool_call", "streaming.plain", "errors.openai_status[429]"]
CLIENTS = [("gemini", "/v1beta"), ("ollama_chat", "")]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_in_thread(Catalogue.load().select(IDS)) as provider:
        yield provider.url


def ask(url: str, client: tuple[str, str], id: str, **options: Any) -> Any:
    litellm = pytest.importorskip("litellm")
    name, version = client
    return litellm.completion(
        model=f"{name}/{id}",
        messages=MESSAGES,
        # The scenario stands in the path, since not every name is a model's.
        api_base=f"{url}/{id}{version}",
        api_key="any",
        max_retries=0,
        **options,
    )


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: one[0])
def test_an_answer_a_stream_a_tool_and_an_error_arrive(url: str, client: tuple[str, str]) -> None:
    """Text, finish, tokens, arguments and status are those of the scenario."""
    litellm = pytest.importorskip("litellm")
    scenarios = {scenario.id: scenario for scenario in Catalogue.load().select(IDS)}
    plain = ask(url, client, "chat.plain")
    said = scenarios["chat.plain"].provider[0].json_
    assert plain.choices[0].message.content == said["choices"][0]["message"]["content"]
    assert plain.choices[0].finish_reason == "stop"
    assert plain.usage.prompt_tokens == said["usage"]["prompt_tokens"]
    assert plain.usage.completion_tokens == said["usage"]["completion_tokens"]
    (call,) = ask(url, client, "chat.tool_call").choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert '"Paris"' in call.function.arguments
    streamed = list(ask(url, client, "streaming.plain", stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed)
    assert text == scenarios["streaming.plain"].expect.responses[0].stream.text  # type: ignore[union-attr]
    assert streamed[-1].choices[0].finish_reason == "stop"
    with pytest.raises(litellm.RateLimitError):
        ask(url, client, "errors.openai_status[429]")

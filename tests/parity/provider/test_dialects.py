"""Scenarios written on OpenAI's wire, asked in Gemini's and in Ollama's dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.provider.server import ServedProvider, serve_in_thread

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"Oslo"}'}}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2}}
DONE = {"data": "[DONE]"}


def message(content: str | None = "Hi", finish: str = "stop", **rest: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content, **rest}, "finish_reason": finish}


def chunk(*choices: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"data": {"id": "c", "object": "chat.completion.chunk", "choices": list(choices), **rest}}


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def tool(**part: Any) -> dict[str, Any]:
    return piece(tool_calls=[{"index": 0, **part}])


HEAD = [chunk(piece(role="assistant", content="")), chunk(piece(content="Hel")), chunk(piece(content="lo"))]
REPLIES: dict[str, dict[str, Any]] = {
    "a.plain": {"json": {"choices": [message()], "usage": USAGE}},
    "a.long": {"json": {"choices": [message(finish="length")]}},
    "a.tools": {"json": {"choices": [message(None, "tool_calls", tool_calls=[CALL])]}},
    "a.odd_tools": {
        "json": {
            "choices": [message(None, tool_calls=[{**CALL, "function": {"name": "x", "arguments": "{"}}])]
        }
    },
    "a.busy": {"status": 429, "headers": {"retry-after": "20"}, "json": {"error": {"message": "Slow down."}}},
    "a.html": {"status": 502, "text": "<html>", "headers": {"content-type": "text/html"}},
    "a.stream": {"sse": [*HEAD, chunk(piece("stop")), chunk(usage=USAGE), DONE]},
    "a.tool_stream": {
        "sse": [
            chunk(tool(id="call_1", function={"name": "look", "arguments": ""})),
            chunk(tool(function={"arguments": '{"at":'})),
            chunk(tool(function={"arguments": '"Oslo"}'})),
            chunk(piece("tool_calls")),
            DONE,
        ]
    },
    "a.cut": {"sse": [*HEAD, {"end": "cut"}]},
    "a.error": {"sse": [*HEAD, {"data": {"error": {"message": "Out of breath."}}}]},
    "a.vectors": {"json": {"object": "list", "data": []}},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[ServedProvider]:
    scenarios = [
        Scenario.model_validate(
            {
                "id": id,
                "title": "A promise.",
                "provider": [reply],
                "client": [{"json": {"model": "$model"}}],
                "expect": {"responses": [{}]},
            }
        )
        for id, reply in REPLIES.items()
    ]
    with serve_in_thread(scenarios) as served:
        yield served


def gemini(provider: ServedProvider, id: str, way: str = "generateContent") -> httpx.Response:
    url = f"{provider.url}/v1beta/models/{id}:{way}"
    body = {"contents": [{"role": "user", "parts": [{"text": "?"}]}]}
    return httpx.post(url, json=body, headers={"x-goog-api-key": "any"}, trust_env=False)


def ollama(provider: ServedProvider, id: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{provider.url}/api/chat", json={"model": id, **body}, trust_env=False)


def events(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"] == "text/event-stream"
    return [json.loads(frame.removeprefix("data: ")) for frame in response.text.split("\n\n") if frame]


def lines(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def test_gemini_answers_with_text_finish_and_usage(provider: ServedProvider) -> None:
    """Thoughts are counted apart from what is said, and together with it in the sum."""
    assert gemini(provider, "a.plain").json() == {
        "candidates": [
            {"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0, "finishReason": "STOP"}
        ],
        "modelVersion": "a.plain",
        "usageMetadata": {
            "promptTokenCount": 7,
            "candidatesTokenCount": 3,
            "totalTokenCount": 12,
            "thoughtsTokenCount": 2,
        },
    }
    assert gemini(provider, "a.long").json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_gemini_calls_a_tool_with_an_object(provider: ServedProvider) -> None:
    """In an answer, and in a stream, where the pieces of the arguments are put together first."""
    call = {"functionCall": {"id": "call_1", "name": "look", "args": {"at": "Oslo"}}}
    (candidate,) = gemini(provider, "a.tools").json()["candidates"]
    assert (candidate["content"]["parts"], candidate["finishReason"]) == ([call], "STOP")
    first, last = events(gemini(provider, "a.tool_stream", "streamGenerateContent?alt=sse"))
    assert first["candidates"][0]["content"]["parts"] == [call]
    assert last["candidates"][0]["finishReason"] == "STOP"


def test_gemini_streams_events_or_a_list(provider: ServedProvider) -> None:
    """The last one alone has the finish and the usage; there is no `[DONE]`."""
    told = events(gemini(provider, "a.stream", "streamGenerateContent?alt=sse"))
    texts = [one["candidates"][0]["content"]["parts"][0]["text"] for one in told]
    assert texts == ["Hel", "lo", ""]
    assert ["usageMetadata" in one for one in told] == [False, False, True]
    assert [one["candidates"][0].get("finishReason") for one in told] == [None, None, "STOP"]
    assert gemini(provider, "a.stream", "streamGenerateContent").json() == told
    (alone,) = events(gemini(provider, "a.plain", "streamGenerateContent?alt=sse"))
    assert alone == gemini(provider, "a.plain").json()


def test_gemini_tells_an_error_with_its_status(provider: ServedProvider) -> None:
    """The scenario's headers stay; inside a stream the error is an item of it."""
    refused = gemini(provider, "a.busy")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
    assert refused.json() == {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    *_, last = events(gemini(provider, "a.error", "streamGenerateContent?alt=sse"))
    assert last == {"error": {"code": 500, "message": "Out of breath.", "status": "INTERNAL"}}


def test_ollama_answers_with_text_reason_and_counts(provider: ServedProvider) -> None:
    """As one object where no stream is asked for."""
    told = ollama(provider, "a.plain", stream=False).json()
    assert told["message"] == {"role": "assistant", "content": "Hi"}
    assert (told["model"], told["done"], told["done_reason"]) == ("a.plain", True, "stop")
    assert (told["prompt_eval_count"], told["eval_count"]) == (7, 5)
    assert ollama(provider, "a.long", stream=False).json()["done_reason"] == "length"


def test_ollama_streams_lines_unless_told_otherwise(provider: ServedProvider) -> None:
    """Each is a JSON object; the last one is done, and counts."""
    told = lines(ollama(provider, "a.stream"))
    assert [one["message"]["content"] for one in told] == ["Hel", "lo", ""]
    assert [one["done"] for one in told] == [False, False, True]
    assert told[-1]["eval_count"] == 5
    (alone,) = lines(ollama(provider, "a.plain", stream=True))
    assert (alone["message"]["content"], alone["done"]) == ("Hi", True)


def test_ollama_calls_a_tool_with_an_object(provider: ServedProvider) -> None:
    """Which has no id in this dialect."""
    calls = [{"function": {"name": "look", "arguments": {"at": "Oslo"}}}]
    assert ollama(provider, "a.tools", stream=False).json()["message"]["tool_calls"] == calls
    first, last = lines(ollama(provider, "a.tool_stream"))
    assert first["message"]["tool_calls"] == calls
    assert (last["done"], "tool_calls" in last["message"]) == (True, False)


def test_ollama_tells_an_error_as_a_sentence(provider: ServedProvider) -> None:
    """With the status before an answer, as a line on the way."""
    refused = ollama(provider, "a.busy")
    assert (refused.status_code, refused.json()) == (429, {"error": "Slow down."})
    assert lines(ollama(provider, "a.error"))[-1] == {"error": "Out of breath."}


@pytest.mark.parametrize("asked", ["gemini", "ollama"])
def test_what_breaks_breaks_in_every_dialect(provider: ServedProvider, asked: str) -> None:
    """A stream is cut where the scenario cuts it, and a page of a load balancer stays one."""
    ways = {
        "gemini": lambda id: gemini(provider, id, "streamGenerateContent?alt=sse"),
        "ollama": lambda id: ollama(provider, id),
    }
    with pytest.raises(httpx.RemoteProtocolError):
        ways[asked]("a.cut")
    page = ways[asked]("a.html")
    assert (page.status_code, page.text) == (502, "<html>")


@pytest.mark.parametrize(
    ("id", "why"),
    [
        ("a.stream", "its provider streams: ask it for a stream"),
        ("a.odd_tools", "a tool call's arguments are no JSON object"),
        ("a.vectors", "it has no chat completion to say"),
    ],
)
def test_what_a_dialect_cannot_say_is_told(provider: ServedProvider, id: str, why: str) -> None:
    """As an error of that dialect, with the scenario's name."""
    for response in (gemini(provider, id), ollama(provider, id, stream=False)):
        assert response.status_code == 400
        assert f"of {id} nothing can be said: {why}" in response.text
    assert gemini(provider, id).json()["error"]["status"] == "INVALID_ARGUMENT"


def test_a_scenario_of_anthropics_has_no_other_dialect() -> None:
    """Whether it answers or streams."""
    chosen = Catalogue.load().select(["messages.plain", "messages.stream"])
    with serve_in_thread(chosen) as served:
        for scenario in chosen:
            assert gemini(served, scenario.id, "streamGenerateContent?alt=sse").status_code == 400


def test_the_scenarios_are_models_in_both_dialects(provider: ServedProvider) -> None:
    """Under the name by which they are asked for."""
    gemini_names = httpx.get(f"{provider.url}/v1beta/models?pageSize=9", trust_env=False).json()["models"]
    ollama_names = httpx.get(f"{provider.url}/api/tags", trust_env=False).json()["models"]
    assert [one["name"] for one in gemini_names] == [f"models/{id}" for id in REPLIES]
    assert [one["model"] for one in ollama_names] == list(REPLIES)
    # Gemini's newer clients ask the path that OpenAI's ask; their key's header tells them apart.
    newer = httpx.get(f"{provider.url}/v1/models", headers={"x-goog-api-key": "any"}, trust_env=False)
    assert newer.json()["models"] == gemini_names


def test_who_names_no_scenario_is_told_in_the_dialect(provider: ServedProvider) -> None:
    """With a 404, as for a model that isn't there."""
    assert gemini(provider, "a.nobody").json()["error"]["status"] == "NOT_FOUND"
    unknown = ollama(provider, "a.nobody")
    assert unknown.status_code == 404
    assert "names no scenario" in unknown.json()["error"]

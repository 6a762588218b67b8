"""Requests that LiteLLM refuses before it asks: nothing of them may come back in the refusal."""

from __future__ import annotations

from typing import Any

import pytest

from parity.targets.arms import ARMS
from tests.attacks.providers.hostile import Scene

SECRET = "the-secret-that-nobody-repeats"
USER = {"role": "user", "content": SECRET}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": ' + SECRET}}
OWN = (
    "A message has",
    "A tool has",
    "An image is",
    "The block",
    "The arguments of a tool call",
    "The provider of this model",
    "This is no tool choice",
)
CHATS: dict[str, dict[str, Any]] = {
    "role": {"messages": [{"role": "wizard", "content": SECRET}]},
    "arguments": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": SECRET},
        ]
    },
    "image": {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:{SECRET}"}}]}
        ]
    },
    "part": {"messages": [{"role": "user", "content": [{"type": SECRET}]}]},
    "file": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": SECRET}}]}]},
    "choice": {"messages": [USER], "tool_choice": {"type": SECRET}, "tools": []},
    "tool": {"messages": [USER], "tools": [{"type": SECRET}]},
    "format": {"messages": [USER], "response_format": {"type": "json_schema", "json_schema": {"a": SECRET}}},
    "effort": {"messages": [USER], "reasoning_effort": SECRET},
    "unknown": {"messages": [USER], "verbosity": SECRET},
}
OTHERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("messages", {"messages": [USER], "tools": [{"name": "f"}], "tool_choice": {"type": SECRET}}),
    ("messages", {"messages": [{"role": "wizard", "content": SECRET}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": SECRET}]}]}),
    ("messages", {"messages": [{"role": "user", "content": [{"type": SECRET}]}]}),
    ("responses", {"input": [{"role": "wizard", "content": SECRET}]}),
    ("responses", {"input": SECRET, "tools": [{"type": SECRET}]}),
    ("responses", {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": SECRET}]}),
    ("responses", {"input": SECRET, "text": {"format": {"type": SECRET}}}),
)


def checked(scene: Scene, arm: str, model: str, route: str, body: dict[str, Any]) -> None:
    asked = len(scene.provider.requests)
    answer = scene.ask(arm, f"{model}/well", route, **body)
    assert answer.status_code == 200 or SECRET not in answer.text
    if len(scene.provider.requests) == asked:
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"].startswith(OWN), answer.text


@pytest.mark.parametrize("model", ["openai", "claude", "groq"])
@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("arm", ARMS)
def test_a_chat_completion(scene: Scene, arm: str, name: str, model: str) -> None:
    """Whichever provider it is for, what isn't sent is refused in our words, plain and streamed."""
    for stream in (False, True):
        checked(scene, arm, model, "chat/completions", {**CHATS[name], "stream": stream})


@pytest.mark.parametrize("model", ["openai", "claude", "groq"])
@pytest.mark.parametrize("number", range(len(OTHERS)))
@pytest.mark.parametrize("arm", ARMS)
def test_other_routes(scene: Scene, arm: str, number: int, model: str) -> None:
    """So it is for messages and responses, which LiteLLM translates in code of their own."""
    checked(scene, arm, model, *OTHERS[number])

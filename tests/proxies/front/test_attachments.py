"""Blocks that LiteLLM would leave out are refused with their place; all others pass."""

from __future__ import annotations

from typing import Any

import pytest

from proxies.config.models import Deployment
from proxies.errors import ProxyError
from proxies.front.attachments import check_attachments

CHAT = "chat/completions"
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
NOTE = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}
HOLOGRAM = {"type": "hologram"}


def check(route: str, body: dict[str, Any], *models: str, **params: Any) -> None:
    deployments = [
        Deployment.model_validate({"model_name": "m", "litellm_params": {"model": model, **params}})
        for model in models
    ]
    check_attachments(body, route, deployments)


def said(role: str, *blocks: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks), **more}]}


def result(*blocks: Any) -> dict[str, Any]:
    return said("user", {"type": "tool_result", "tool_use_id": "t", "content": list(blocks)})


PASSES = {
    "own dialect": ("messages", said("user", NOTE, HOLOGRAM), "anthropic/claude-x"),
    "own dialect, guessed": ("messages", said("user", NOTE), "claude-x"),
    "own messages": ("messages", said("user", NOTE), "deepseek/x"),
    "own responses": ("responses", {"input": [{"type": "hologram"}]}, "openai/gpt-x"),
    "nobody's dialect": ("messages", said("user", NOTE), "bedrock/x"),
    "pdf": ("messages", said("user", PDF, {"type": "text", "text": "a"}), "openai/gpt-x"),
    "pdf of a tool": ("messages", result(PDF), "azure/gpt-x"),
    "texts": ("messages", {"system": "a", "messages": [{"role": "user", "content": "b"}]}, "groq/x"),
    "no blocks": ("messages", said("user", "a", 5), "groq/x"),
    "file": (CHAT, said("user", {"type": "file", "file": {}}), "anthropic/claude-x"),
    "sound": (CHAT, said("user", {"type": "input_audio"}), "openai/gpt-x"),
    "refusal with words": (CHAT, said("assistant", {"type": "text"}, refusal="a"), "anthropic/claude-x"),
    "another's answer": (CHAT, said("assistant", HOLOGRAM), "openai/gpt-x"),
    "input": ("responses", {"input": "a"}, "anthropic/claude-x"),
    "file's address": (
        "responses",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "a"}]}]},
        "anthropic/claude-x",
    ),
    "reasoning": ("responses", {"input": [{"type": "reasoning"}]}, "anthropic/claude-x"),
    "embeddings": ("embeddings", {"input": [HOLOGRAM]}, "anthropic/claude-x"),
}


@pytest.mark.parametrize("case", PASSES)
def test_what_reaches_the_provider_passes(case: str) -> None:
    """Nothing is refused that LiteLLM hands on, and nothing that isn't ours to judge."""
    route, body, model = PASSES[case]
    check(route, body, model)


REFUSED = {
    "messages[0].content[0]": ("messages", said("user", NOTE), "openai/gpt-x"),
    "messages[0].content[0].content[1]": ("messages", result(PDF, NOTE), "groq/x"),
    "messages[0].content[0].content[0].context": (
        "messages",
        result({**PDF, "context": "a"}),
        "openai/gpt-x",
    ),
    "system[0]": ("messages", {"system": [PDF], "messages": []}, "openai/gpt-x"),
    "messages[0].content[1]": (
        CHAT,
        said("tool", {"type": "text"}, {"type": "input_audio"}),
        "anthropic/claude-x",
    ),
    "messages[0].audio": (CHAT, said("assistant", audio={"id": "a"}), "anthropic/claude-x"),
    "input[0].content[0]": (
        "responses",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "a"}]}]},
        "groq/x",
    ),
    "input[0]": ("responses", {"input": [{"type": "hologram"}]}, "groq/x"),
}


@pytest.mark.parametrize("place", REFUSED)
def test_what_would_be_left_out_is_refused(place: str) -> None:
    """A 400 names the place of the block."""
    route, body, model = REFUSED[place]
    with pytest.raises(ProxyError) as refused:
        check(route, body, model)
    assert (refused.value.status, refused.value.param) == (400, place)


def test_a_model_that_stands_in_counts() -> None:
    """What one of several deployments would lose is refused, whichever would have been asked."""
    check("messages", said("user", NOTE), "anthropic/claude-x")
    with pytest.raises(ProxyError):
        check("messages", said("user", NOTE), "anthropic/claude-x", "openai/gpt-x")


def test_responses_that_become_chat_completions() -> None:
    """OpenAI's own deployments are looked at where they are asked a chat completion."""
    body = {"input": [{"type": "hologram"}]}
    with pytest.raises(ProxyError):
        check("responses", body, "openai/gpt-x", use_chat_completions_api=True)

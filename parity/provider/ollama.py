"""Says an answer in the dialect of Ollama's API: https://docs.ollama.com/api/chat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.provider.meant import Choice, Said, Usage

NDJSON = "application/x-ndjson"
WHEN = "2025-01-01T00:00:00Z"


def said(answer: Said, model: str) -> dict[str, Any]:
    """Say an answer, or one line of a stream, which has the same form; of several choices it can say the first."""
    choice = answer.choices.get(0, Choice())
    message: dict[str, Any] = {"role": "assistant", "content": choice.text}
    if choice.calls:
        message["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in choice.calls
        ]
    told = {"model": model, "created_at": WHEN, "message": message, "done": answer.last}
    if not answer.last:
        return told
    usage = answer.usage or Usage(0, 0, 0)
    return {
        **told,
        "done_reason": "length" if choice.finish == "length" else "stop",
        "total_duration": 3_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": usage.prompt,
        "prompt_eval_duration": 1_000_000,
        "eval_count": usage.completion,
        "eval_duration": 1_000_000,
    }


def failure(_status: int, message: str) -> dict[str, Any]:
    return {"error": message}


def models(scenarios: Iterable[str]) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": name,
                "model": name,
                "modified_at": WHEN,
                "size": 1,
                "digest": "0" * 64,
                "details": {"format": "gguf", "family": "parity", "families": ["parity"]},
            }
            for name in scenarios
        ]
    }

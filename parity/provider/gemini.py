"""Says an answer in the dialect of Gemini's API: https://ai.google.dev/api/generate-content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.provider.meant import Call, Choice, Said

FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
"""Translates why a choice is finished; all else, tool calls too, is `STOP`."""

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def said(answer: Said, model: str) -> dict[str, Any]:
    """Say an answer, or one chunk of a stream, which has the same form."""
    told: dict[str, Any] = {
        "candidates": [_candidate(index, choice) for index, choice in answer.choices.items()],
        "modelVersion": model,
    }
    if answer.usage is not None and answer.last:
        usage = answer.usage
        told["usageMetadata"] = {
            "promptTokenCount": usage.prompt,
            "candidatesTokenCount": usage.completion - usage.reasoning,
            "totalTokenCount": usage.prompt + usage.completion,
            **({"thoughtsTokenCount": usage.reasoning} if usage.reasoning else {}),
        }
    return told


def failure(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": STATUS.get(status, "UNKNOWN")}}


def models(scenarios: Iterable[str]) -> dict[str, Any]:
    methods = ["generateContent", "streamGenerateContent"]
    return {
        "models": [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
            for name in scenarios
        ]
    }


def _candidate(index: int, choice: Choice) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": choice.text}] if choice.text or not choice.calls else []
    parts += [{"functionCall": _function(call)} for call in choice.calls]
    told = {"content": {"parts": parts, "role": "model"}, "index": index}
    if choice.finish is not None:
        told["finishReason"] = FINISH.get(choice.finish, "STOP")
    return told


def _function(call: Call) -> dict[str, Any]:
    return {**({"id": call.id} if call.id else {}), "name": call.name, "args": call.arguments}

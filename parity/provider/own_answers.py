"""Makes the stub provider's answers that come from no scenario: refusals, and its list of models."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from parity.catalogue.scenario import ProviderReply
from parity.provider import gemini
from parity.provider.addressing import HEADER
from parity.provider.dialects import dialect_of, translated
from parity.provider.wire import Request


def refusal(status: int, message: str) -> ProviderReply:
    error = {
        "message": f"stub provider: {message}",
        "type": "stub_provider_error",
        "param": None,
        "code": None,
    }
    return ProviderReply(status=status, json={"error": error})


def unaddressed(request: Request) -> ProviderReply:
    """Refuse a request that names no scenario, in the envelope of its route."""
    path = unquote(request.target.partition("?")[0])
    message = (
        f"{request.method} {path} names no scenario: name one as the model, as the key, in "
        f"the header {HEADER}, or first in the path; GET /_control lists them"
    )
    reply = refusal(404, message)
    if dialect := dialect_of(request.target, None):
        return translated(reply, dialect, "")
    if not path.endswith("/messages"):
        return reply
    error = {"type": "not_found_error", "message": f"stub provider: {message}"}
    return ProviderReply(status=404, json={"type": "error", "error": error})


def models_reply(request: Request, scenarios: Iterable[str]) -> ProviderReply:
    """List the scenarios as models: in Gemini's and Anthropic's form for their clients, in OpenAI's for all others."""
    if "x-goog-api-key" in request.headers:
        return ProviderReply(json=gemini.models(scenarios))
    if "anthropic-version" in request.headers:
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2025-01-01T00:00:00Z"}
            for name in scenarios
        ]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
        return ProviderReply(json={"data": data, "has_more": False, **ends})
    models = [
        {"id": name, "object": "model", "created": 1735689600, "owned_by": "parity"} for name in scenarios
    ]
    return ProviderReply(json={"object": "list", "data": models})

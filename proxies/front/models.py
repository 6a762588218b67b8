"""GET /v1/models and /v1/models/{id}: the configured names, the same bytes at each call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from proxies.errors import ProxyError
from proxies.front.services import Services
from proxies.support.redact import redact_text

# Nobody knows when a configured name was created. This is the moment LiteLLM gives for all of its models.
_CREATED = 1677610602
_LONGEST = 512  # characters of a name that are repeated


async def list_all(services: Services, request: Request) -> ASGIApp:
    """Every name once, in the order of the configuration."""
    return JSONResponse(listed(deployment.model_name for deployment in services.config.model_list))


async def show_one(services: Services, request: Request) -> ASGIApp:
    """One name; 404 `model_not_found` when it isn't configured."""
    name = request.path_params["model"]
    if not services.config.group(name):
        raise unknown_model(name)
    return JSONResponse(_model(name))


def listed(names: Iterable[str]) -> dict[str, Any]:
    """The body of the list, each name once."""
    return {"object": "list", "data": [_model(name) for name in dict.fromkeys(names)]}


def unknown_model(name: str) -> ProxyError:
    """The failure of a request that names a model which isn't configured."""
    # Who mixes up two fields sends a key here; and megabytes would take seconds to be redacted.
    shown = redact_text(name[:_LONGEST]) + ("…" if len(name) > _LONGEST else "")
    return ProxyError(404, f"The model '{shown}' does not exist.", code="model_not_found", param="model")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "openai"}

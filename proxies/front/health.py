"""Answers operators, who need no key: alive, ready, metrics, and which user a request would count for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from proxies.front.auth import check_key
from proxies.front.draining import draining_of, stopping
from proxies.front.identity import identify
from proxies.front.services import Services
from proxies.support.redact import redact_text


async def live(services: Services, request: Request) -> ASGIApp:
    """200 while the process serves; with `?sessions` also how many clients it keeps, and nothing of theirs."""
    told: dict[str, Any] = {"status": "healthy"}
    if "sessions" in request.query_params:
        told["sessions"] = services.backend.sessions()
    return JSONResponse(told)


async def ready(services: Services, request: Request) -> ASGIApp:
    """200 when the backend can be used, else its 503 with the reason; 503 too while the server stops.

    A store of memories that can't be used is told beside: answers come without memories then, but they come.
    """
    if draining_of(request.scope).begun:
        raise stopping()
    await services.backend.check_ready()
    failure = await services.memory.failure()
    return JSONResponse(
        {"status": "ready", **({"memory": f"off: {redact_text(failure)}"} if failure else {})}
    )


async def routing_info(services: Services, request: Request) -> ASGIApp:
    """Who the request's headers say is asking, and why; and whether clients of several kinds are that default user."""
    routing = identify(request.headers, services.config)
    shared = {"default_is_shared": True} if routing.is_default and services.default_user.is_shared else {}
    return JSONResponse({**routing.as_info(), **shared})


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The oldest version of the format, which every Prometheus reads."""


async def metrics(services: Services, request: Request) -> ASGIApp:
    """Show the metrics to anyone, unless `litellm_settings.require_auth_for_metrics_endpoint` asks for the key."""
    if services.config.litellm_settings.get("require_auth_for_metrics_endpoint"):
        check_key(request.headers, services.config.master_key)
    return Response(services.metrics.text(), headers={"content-type": CONTENT_TYPE})

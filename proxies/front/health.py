"""What operators ask: alive, ready, and which user a request would count for. No key needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from proxies.front.draining import draining_of, stopping
from proxies.front.identity import identify

if TYPE_CHECKING:
    from proxies.front.app import Front


async def live(front: Front, request: Request) -> ASGIApp:
    """200 while the process serves; with `?sessions` also how many clients it keeps, and nothing of theirs."""
    told: dict[str, Any] = {"status": "healthy"}
    if "sessions" in request.query_params:
        told["sessions"] = front.backend.sessions()
    return JSONResponse(told)


async def ready(front: Front, request: Request) -> ASGIApp:
    """200 when the backend can be used, else its 503 with the reason; 503 too while the server stops."""
    if draining_of(request.scope).begun:
        raise stopping()
    await front.backend.check_ready()
    return JSONResponse({"status": "ready"})


async def routing_info(front: Front, request: Request) -> ASGIApp:
    """Who the request's headers say is asking, and why."""
    return JSONResponse(identify(request.headers, front.config).as_info())

"""Every route of both proxies: one row each. Those to a model are rows of `kinds.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, partial

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import ASGIApp

from proxies.dialects.kinds import COUNT, KINDS
from proxies.errors import ProxyError
from proxies.front import families, health, models, passthrough
from proxies.front.auth import check_key
from proxies.front.connections import note_key
from proxies.front.disconnect import no_answer
from proxies.front.draining import draining_of
from proxies.front.model_call import answer
from proxies.front.observing.record import current
from proxies.front.places import check_headers
from proxies.front.services import Services

Endpoint = Callable[[Services, Request], Awaitable[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Row:
    """`bare`: also reachable without the leading `/v1`; `open`: without a key."""

    method: str
    path: str
    endpoint: Endpoint
    bare: bool = False
    open: bool = False


TABLE: tuple[Row, ...] = (
    *(Row("POST", f"/v1/{kind.route}", partial(answer, kind=kind), kind.bare) for kind in KINDS.values()),
    Row("POST", f"/v1/{COUNT.route}", partial(answer, kind=COUNT)),
    Row("GET", "/v1/models", models.list_all, bare=True),
    Row("GET", "/v1/models/{model:path}", models.show_one, bare=True),
    Row("GET", "/metrics", health.metrics, open=True),
    Row("GET", "/health", health.live, open=True),
    Row("GET", "/health/readiness", health.ready, open=True),
    Row("GET", "/memory-routing/info", health.routing_info, open=True),
)


@cache
def routes() -> tuple[Route, ...]:
    """The table as Starlette's routes, the key checked before anything of a request is read.

    They serve every application of a process, each with the `Services` that it has as `app.state.services`.
    """
    named = [
        Route(path, _guarded(row), methods=[row.method])
        for row in TABLE
        for path in ((row.path, row.path.removeprefix("/v1")) if row.bare else (row.path,))
    ]
    handed_on = [
        Route(path, _guarded(Row("", path, passthrough.forward)), methods=families.METHODS)
        for family in families.FAMILIES
        for path in (f"/v1/{family}", f"/v1/{family}/{{rest:path}}")
        if path not in {route.path for route in named}
    ]
    return (*named, *handed_on)


def _guarded(row: Row) -> Callable[[Request], Awaitable[ASGIApp]]:
    async def handle(request: Request) -> ASGIApp:
        services: Services = request.app.state.services
        record = current()
        record.route = row.path.replace(":path}", "}")
        record.background = row.open
        try:
            check_headers(request.headers.raw, services.config.limits)
            if row.open:
                return await row.endpoint(services, request)
            check_key(request.headers, services.config.master_key)
            note_key(request.scope)
            place = services.places.take()
            try:
                async with draining_of(request.scope).until_cut():
                    return place.until_sent(await row.endpoint(services, request))
            except BaseException:
                place.free()
                raise
        except ProxyError as error:
            record.failure = error
            raise
        except ClientDisconnect:  # in the middle of its request
            return no_answer

    return handle

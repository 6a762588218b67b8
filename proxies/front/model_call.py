"""A request to a model, whatever its dialect: read, checked, routed, called, answered.

bytes ── checks ── memories ── Call ── backend ──> Reply ──> JSON
                                              └──> Stream ─> server-sent events
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from proxies.backend import Call
from proxies.config.models import ProxyConfig
from proxies.dialects.base import Framing, without_nulls
from proxies.dialects.kinds import Kind
from proxies.errors import UNREADABLE, ProxyError, internal_error, log_failure
from proxies.front.attachments import check_attachments
from proxies.front.body import check_params, name_model, parse_object, read_body
from proxies.front.disconnect import ClientGone, no_answer, or_disconnect
from proxies.front.handing_on import check_counted, counted, hand_on, reachable
from proxies.front.identity import identify
from proxies.front.models import unknown_model
from proxies.front.observing.record import current
from proxies.front.readable import boundary_of, checked_query
from proxies.front.services import Services
from proxies.front.sizes import apart, check_sizes, check_values
from proxies.front.steering import check_steering, has_own_file_search
from proxies.front.streaming import EventStream, open_stream
from proxies.front.target import DEPLOYMENT
from proxies.front.thinking import fit_thinking
from proxies.headers import for_client, for_provider
from proxies.memory.context import HEADER, Enriched
from proxies.memory.routing import memory_headers
from proxies.support.jsontext import json_text

QUERY = ("api-version", "beta")
"""Query parameters that clients of Azure's and Anthropic's send; they end here."""

Result = TypeVar("Result")


async def answer(services: Services, request: Request, kind: Kind) -> ASGIApp:
    """Check, call the backend, answer; nothing is answered to a client that goes away before."""
    record = current()
    config = services.config
    checked_query(request, QUERY)
    boundary_of(request, takes_form=False)
    with record.reading:
        sent = await read_body(request, config.max_body_bytes, config.limits.body_timeout)
    deployment = request.scope.get(DEPLOYMENT)
    body = await apart(sent, lambda: _read(sent, config, kind, deployment))
    deployments = config.group(body["model"])
    if body.get("stream") and kind.framing is None:
        raise ProxyError(400, "There are no streams on this route.", param="stream")
    record.note_model(body["model"], deployments)
    if not deployments:
        raise unknown_model(body["model"])
    if kind.counts:
        check_counted(body, deployments)
    check_attachments(body, kind.route, reachable(config, body["model"]))
    body = fit_thinking(body, kind.route, deployments)
    routing = identify(request.headers, config)
    forwarded = for_provider(request.headers)
    record.user_id = routing.user_id
    if routing.is_default:
        services.default_user.asked(request.headers, deployments)
    doing = f"{request.method} {request.url.path}"

    async def work() -> ASGIApp:
        with record.memory:
            enriched = (
                await services.memory.enrich(request.headers, routing, deployments, body, kind.layout)
                if kind.layout
                else Enriched(body)
            )
        record.memory_outcome = enriched.headers.get(HEADER, "")
        handed = counted(enriched.body) if kind.counts else hand_on(enriched.body, kind.route, config)
        call = Call(
            route=kind.route,
            model=body["model"],
            params={name: value for name, value in handed.items() if name != "model"},
            headers={**forwarded, **memory_headers(routing, deployments)},
            user_id=routing.user_id,
        )
        try:
            if body.get("stream") and kind.framing and not kind.counts:
                return await _streamed(services, call, kind.framing, enriched, doing)
            return await _plain(services, call, kind, enriched)
        except ProxyError as error:
            error.headers |= enriched.headers
            raise

    try:
        return await or_disconnect(_own_failures(work(), doing), request.receive)
    except ClientGone:
        return no_answer


def _read(sent: bytes, config: ProxyConfig, kind: Kind, deployment: str | None) -> dict[str, Any]:
    """Return the parameters in `sent`; raises `ProxyError` 400.

    Sizes come first: all else takes as long as they are. `deployment` is the model that the path names, if any.
    """
    check_values(sent, config.limits)
    body = parse_object(sent, config.limits.max_nesting)
    check_sizes(body, config.limits, embeds=kind.framing is None)
    name_model(body, deployment)
    check_params(body, kind.shape)
    check_steering(
        body,
        allowed_tools=config.litellm_tools,
        file_search_is_native=lambda: has_own_file_search(config.group(body["model"])),
    )
    return body


async def _plain(services: Services, call: Call, kind: Kind, enriched: Enriched) -> ASGIApp:
    record = current()
    with record.upstream:
        reply = await (services.backend.count if kind.counts else services.backend.complete)(call)
    said = kind.as_said(reply.body)
    body = said if kind.nulls else without_nulls(said)
    if not kind.counts:
        body = {**body, "model": call.model}
    record.note_usage(body)
    if not kind.is_answer(body):
        raise ProxyError(502, UNREADABLE)
    if not kind.counts:
        enriched.heard(body)
    return Response(
        json_text(body),
        media_type="application/json",
        headers={**for_client(reply.headers), **enriched.headers},
    )


async def _streamed(
    services: Services, call: Call, framing: Framing, enriched: Enriched, doing: str
) -> EventStream:
    current().upstream.begin()
    stream = enriched.listening(await services.backend.stream(call))
    opened = await open_stream(stream, call.model, framing, doing)
    opened.headers = {**opened.headers, **enriched.headers}
    return opened


async def _own_failures(work: Awaitable[Result], doing: str) -> Result:
    """Turn what a backend raises besides `ProxyError` into a 500: a bug, never the client's fault."""
    try:
        return await work
    except ProxyError:
        raise
    except Exception as bug:
        log_failure(bug, doing)
        raise internal_error() from None

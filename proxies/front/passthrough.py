"""The other data routes below /v1: read, checked, handed to the backend, and what comes back handed on.

client ──method, path──────────────────────────────────> Backend.forward ──status, body in pieces──> client
       ──query, body── read, checked, written anew ────>

Only the families of `families.py` exist, and a path that could be read as another one (empty or dotted parts,
encoded slashes, parameters) is no route at all. LiteLLM obeys what it finds in a query, in a form and in whatever it
can read as JSON, so none of these goes up in the client's own bytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.backend import Forwarded, Passage
from proxies.config.models import ProxyConfig
from proxies.errors import ProxyError, no_route
from proxies.front.body import parse_object, read_body, read_pieces
from proxies.front.disconnect import ClientGone, no_answer, or_disconnect, send_then_close
from proxies.front.families import FAMILIES, REPEATABLE, Family
from proxies.front.forms import Rewriter
from proxies.front.identity import identify
from proxies.front.models import unknown_model
from proxies.front.observing.record import current
from proxies.front.readable import JSON_TYPES, boundary_of, checked_query
from proxies.front.services import Services
from proxies.front.sizes import apart, check_sizes, check_values
from proxies.front.steering import check_steering, has_own_file_search
from proxies.headers import check_travels, for_client, for_provider
from proxies.support.jsonsteps import json_in_steps

_SAFE_PATH = re.compile(r"(/(?!\.+(?:/|$))[A-Za-z0-9._~:@!$&'()*+,=-]+)+")
_ABOUT_THE_ANSWER = ("content-type", "content-disposition", "content-length")


async def forward(services: Services, request: Request) -> ASGIApp:
    """Answer with what the backend passes on; raises `ProxyError` 404 for a path that isn't plain."""
    path = request.scope["path"]
    if not _SAFE_PATH.fullmatch(path):
        raise no_route(request.method, path)
    record = current()
    limit, within = services.config.max_body_bytes, services.config.limits.body_timeout
    record.user_id = identify(request.headers, services.config).user_id
    headers = for_provider(request.headers)
    if "accept" in request.headers:
        headers["accept"] = request.headers["accept"]
        check_travels("accept", headers["accept"])
    _, _, name, *below = path.split("/")
    family = FAMILIES[name]
    query = checked_query(request, family.query, REPEATABLE)
    boundary = boundary_of(request, takes_form=family.takes_form("/".join(below)))
    if (hand_on := services.backend.forward) is None:
        raise ProxyError(404, "This route is not supported.", code="unsupported_route")
    if family.needs_provider(request.method, "/".join(below)) and not services.config.serves(name):
        raise ProxyError(
            404,
            "This route is not configured: LiteLLM would take a key of its environment for it. "
            f"Who runs the proxy can allow that: `general_settings.environment_routes: [{name}]`.",
            code="unsupported_route",
        )
    check = _Check(services.config, family)
    uploaded = asyncio.Event()
    body: bytes | AsyncIterator[bytes]
    if boundary is not None:
        form = Rewriter(boundary, check.field, services.config.limits.max_parts)
        headers["content-type"] = form.content_type
        body = _and_then(form.checked(read_pieces(request, limit, within)), uploaded)
    else:
        with record.reading:
            sent = await read_body(request, limit, within)
        body = await apart(sent, lambda: check.json(sent))
        if body:
            headers["content-type"] = JSON_TYPES[0]
        uploaded.set()
    raw_path = request.scope.get("raw_path") or path.encode()
    record.upstream.begin()
    work = hand_on(
        Forwarded(
            method=request.method,
            path=raw_path.partition(b"?")[0].decode("ascii"),
            query=query,
            headers=headers,
            body=body,
            user_id=record.user_id,
        )
    )

    async def receive() -> Message:
        # While the body is still being read, its reader is the one to hear of a disconnect.
        await uploaded.wait()
        return await request.receive()

    try:
        return _Handed(await or_disconnect(work, receive))
    except ClientGone:
        return no_answer


async def _and_then(pieces: AsyncIterator[bytes], done: asyncio.Event) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece
    done.set()


class _Check:
    """Checks a request of a family: a whole JSON body, or one field of a form after the other."""

    def __init__(self, config: ProxyConfig, family: Family) -> None:
        self._config = config
        self._family = family

    def json(self, body: bytes) -> bytes:
        """The checked body as it may go up; raises `ProxyError` 400, or 404 for a model that isn't configured."""
        if not body:
            return b""
        limits = self._config.limits
        check_values(body, limits)
        value = parse_object(body, limits.max_nesting)
        check_sizes(value, limits)
        setting = self._family.model_setting
        if setting and "model" not in value and not self._config.general_settings.get(setting):
            raise ProxyError(400, "The parameter 'model' is missing.", param="model")
        self._steering(value)
        return json_in_steps(value)

    def field(self, name: str, value: str | None) -> None:
        """Return when a field may go up; `value` only of those that LiteLLM reads."""
        self._steering({name: value})

    def _steering(self, body: Mapping[str, Any]) -> None:
        model = body.get("model")
        deployments = self._config.group(model) if isinstance(model, str) else ()
        by_model = self._family.by_model and model is not None
        check_steering(
            body,
            own=self._family.own,
            allowed_tools=self._config.litellm_tools,
            file_search_is_native=lambda: not by_model or has_own_file_search(deployments),
        )
        if by_model and not deployments:
            raise unknown_model(str(model))


class _Handed:
    """An ASGI response that sends a `Passage` piece by piece."""

    def __init__(self, passage: Passage) -> None:
        self._passage = passage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_then_close(self._send_all(send), receive, self._passage.aclose)

    async def _send_all(self, send: Send) -> None:
        passage = self._passage
        about = {name: passage.headers[name] for name in _ABOUT_THE_ANSWER if name in passage.headers}
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in {**for_client(passage.headers), **about}.items()
        ]
        await send({"type": "http.response.start", "status": passage.status, "headers": headers})
        async for piece in passage:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        current().upstream.end()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

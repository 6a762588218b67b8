"""Turns every exception that leaves an endpoint into an answer in the envelope of its route."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.errors import (
    ProxyError,
    error_response,
    internal_error,
    log_failure,
    no_route,
    status_line,
)
from proxies.headers import for_client
from proxies.support.redact import redact_text


def register_exception_handlers(app: FastAPI) -> None:
    """Make every failure of `app` leave in the envelope of its route; `{"detail": …}` never does."""
    app.add_exception_handler(ProxyError, _on_proxy_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ValueError, _on_value_error)
    app.add_middleware(_LastResort)


async def _on_proxy_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProxyError)
    error.headers = {**for_client(error.upstream_headers), **error.headers}
    return error_response(error, request.url.path)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        message = no_route(request.method, path).message
    elif error.status_code == 405:
        message = f"{request.method} is not allowed on {redact_text(path)}."
    else:
        message = f"{status_line(error.status_code)}."
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Starlette joins a set, in an order that changes from process to process.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    return error_response(ProxyError(error.status_code, message, headers=headers), path)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return error_response(
        ProxyError(400, redact_text(f"{where}: {first['msg']}"), param=where or None), request.url.path
    )


async def _on_value_error(request: Request, error: Exception) -> Response:
    message = redact_text(str(error)) or "A value of the request is not valid."
    return error_response(ProxyError(400, message, code="invalid_value"), request.url.path)


class _LastResort:
    """Turns what nobody handled into the envelope, instead of letting it reach the ASGI server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started:
                raise  # half an answer is out: only closing the connection tells the client
            log_failure(error, f"{scope['method']} {scope['path']}")
            await error_response(internal_error(), scope["path"])(scope, receive, send)

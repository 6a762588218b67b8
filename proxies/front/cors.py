"""Browsers: which origins' pages may use the proxy. None, unless `general_settings.cors_origins` names them.

OPTIONS with an origin ──> what the page may send | 403
any answer ──────────────> the origin in a header, so that the page may read it
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from proxies.config.models import ANY_ORIGIN
from proxies.errors import ProxyError, error_response
from proxies.front.families import METHODS


class Cors(CORSMiddleware):
    """Starlette's middleware, for keys in headers instead of cookies, and with its refusals in the envelope."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=("*",),
            expose_headers=("*",),
            allow_private_network=ANY_ORIGIN not in origins,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a browser that asks before it sends a page's request."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        return error_response(
            ProxyError(
                403,
                "A page of this origin may not send this request. "
                "Who runs the proxy can allow its origin: `general_settings.cors_origins`.",
                headers={"vary": answer.headers["vary"]},
            ),
            path="",
        )

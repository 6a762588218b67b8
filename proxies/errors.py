"""Every failure a client can see, in one table; both architectures go through it.

LiteLLM process: status, body ──┐
                                ├─ upstream_error ─> ProxyError ─ envelope ─> {"error": …}
acompletion: exception ─────────┘                        ↑
the front: checks, auth, routes, bugs ───────────────────┘

status         type                    code
400            invalid_request_error   the provider's, else null; context_length_exceeded and
                                       content_policy_violation are kept apart
401            authentication_error    invalid_api_key
403            permission_error        permission_denied
404            not_found_error         model_not_found, else not_found
405            invalid_request_error   method_not_allowed
408, 504       timeout_error           request_timeout
409            invalid_request_error   conflict
413            invalid_request_error   request_too_large
415            invalid_request_error   unsupported_media_type
422            invalid_request_error   unprocessable_entity
429            rate_limit_error        rate_limit_exceeded; insufficient_quota is kept apart
431            invalid_request_error   request_headers_too_large
500            api_error               internal_error
502            api_error               bad_gateway
503            overloaded_error        service_unavailable
529            overloaded_error        overloaded
other 4xx      invalid_request_error   null
other 5xx      api_error               internal_error
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from starlette.responses import Response

from proxies.chunks import UNFINISHED
from proxies.chunks import UNREADABLE as UNREADABLE
from proxies.support.jsontext import json_text
from proxies.support.redact import redact_text

Dialect = Literal["openai", "anthropic"]

INTERNAL = "The proxy failed to handle the request."
UNREACHABLE = UNFINISHED
TIMED_OUT = "The provider did not answer in time."

_TABLE: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "permission_denied"),
    404: ("not_found_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("timeout_error", "request_timeout"),
    409: ("invalid_request_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "unsupported_media_type"),
    422: ("invalid_request_error", "unprocessable_entity"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    431: ("invalid_request_error", "request_headers_too_large"),
    500: ("api_error", "internal_error"),
    502: ("api_error", "bad_gateway"),
    503: ("overloaded_error", "service_unavailable"),
    504: ("timeout_error", "request_timeout"),
    529: ("overloaded_error", "overloaded"),
}

_log = logging.getLogger("proxies")


class ProxyError(Exception):
    """A failure with its place in the table: `type` and `code` come from `status` unless given.

    `headers` are sent with the answer, so only names that a client may see belong here.
    `upstream_status` is what the provider answered, where it is known to have answered, and `upstream_headers`
    are those of its answer as they came: the front chooses which of them the client gets.
    """

    def __init__(
        self,
        status: int,
        message: str,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        known_type, known_code = _row(status)
        self.status = status
        self.message = message
        self.type = type or known_type
        self.code = code or known_code
        self.param = param
        self.headers = dict(headers or {})
        self.upstream_status: int | None = None
        self.upstream_headers: dict[str, str] = {}


def envelope(error: ProxyError, dialect: Dialect = "openai") -> dict[str, Any]:
    """The JSON object of `error`: `{"error": {message, type, param, code}}`, or Anthropic's two-key form."""
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": error.type, "message": error.message}}
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}


def dialect_of(path: str) -> Dialect:
    """Whose envelope answers at `path`."""
    return "anthropic" if re.match(r"(/v1)?/messages(/|$)", path) else "openai"


def internal_error() -> ProxyError:
    """A bug: says nothing about itself, the log has the traceback."""
    return ProxyError(500, INTERNAL)


def no_route(method: str, path: str) -> ProxyError:
    """A path that is none of ours; one with a slash too many is told so."""
    end = " Leave out the slash at its end." if path.endswith("/") and path != "/" else ""
    return ProxyError(404, f"There is no route {method} {redact_text(path)}.{end}")


def log_failure(error: BaseException, doing: str) -> None:
    """The whole traceback into the log, without credentials."""
    _log.error("%s failed\n%s", doing, redact_text("".join(traceback.format_exception(error))))


def error_response(error: ProxyError, path: str) -> Response:
    """The plain HTTP answer for `error` at `path`."""
    body = json_text(envelope(error, dialect_of(path)))
    return Response(body, error.status, error.headers, "application/json")


def _row(status: int) -> tuple[str, str | None]:
    if status in _TABLE:
        return _TABLE[status]
    return ("invalid_request_error", None) if status < 500 else ("api_error", "internal_error")


def status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

"""Logs on stderr, as text or as JSON, a line a record; and the line that each request ends with.

    {"time": "2026-01-31T12:00:00.123Z", "level": "INFO", "logger": "proxies.requests",
     "message": "POST /v1/chat/completions 200", "request_id": "…", "user_id": "…", "model": "…", …}

Only what is named here gets in, so that no library's extras bring secrets along; all text is redacted.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterable
from typing import Any, Literal

from proxies.front.observing.record import NO_ROUTE, RequestRecord, current
from proxies.support.redact import RedactingFilter, redact_text

Format = Literal["text", "json"]

_FIELDS = "request_fields"
_LONGEST = 256
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ID_OF_PROVIDER = (b"x-request-id", b"request-id")
# Their debug lines hold whole requests, one byte string at a time, where no redactor finds a key.
_CHATTY = ("httpcore", "httpx", "hpack", "openai", "anthropic")
_LITELLM = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")

_requests = logging.getLogger("proxies.requests")


def configure(level: str, format: Format = "text") -> None:
    """Send every logger's records from `level` on to stderr, redacted, in `format`."""
    handler = logging.StreamHandler()
    handler.addFilter(RedactingFilter())
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(format == "json")
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for name in _LITELLM:
        logger = logging.getLogger(name)
        logger.addFilter(_by_our_handler)
        # It has a line for each request, too, which says less than ours.
        logger.setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, logging.root.level))


def _by_our_handler(record: logging.LogRecord) -> bool:
    """LiteLLM brings handlers of its own, which would write every line once more, and neither redacted nor as JSON."""
    logging.getLogger().handle(record)
    return False


def announce(text: str) -> None:
    """Write `text` to stderr, whatever the level: bare, or as a record where logs are JSON."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter):
            handler.handle(logging.LogRecord("proxies", logging.INFO, __file__, 0, text, None, None))
            return
    print(text, file=sys.stderr, flush=True)


def log_request(record: RequestRecord) -> None:
    """The line of a request that has ended. Those about the proxy itself, such as `/health`, are for debugging."""
    level = logging.DEBUG if record.background else logging.INFO
    if _requests.isEnabledFor(level):
        fields = _fields(record)
        # The route, not the path: that may hold anything, a line's end too.
        _requests.log(
            level, "%s %s %d", record.method, record.route, record.final_status, extra={_FIELDS: fields}
        )


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            said["exception"] = record.exc_text
        if record.stack_info:
            said["stack"] = record.stack_info
        return json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=str)


class TextFormatter(logging.Formatter):
    """The usual line. What is about a request starts with its id, its own line ends in its fields: `total_ms=12.3`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = dict(_fields_of(record))
        line = super().formatMessage(record)
        if request_id := fields.pop("request_id", None):
            head = line.removesuffix(record.message)
            line = f"{head}[{request_id}] {record.message}"
        return " ".join((line, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, _FIELDS, None)
    if isinstance(fields, dict):
        return fields
    request_id = current().request_id
    return {"request_id": redact_text(request_id)} if request_id else {}


def _fields(record: RequestRecord) -> dict[str, Any]:
    """Return the fields that are known; no others are named. Times are in milliseconds."""
    failure = record.failure
    return {
        name: value
        for name, value in (
            ("request_id", _clean(record.request_id)),
            ("trace_id", record.trace_id),
            ("method", record.method),
            ("route", record.route),
            ("path", _clean(record.path) if record.route == NO_ROUTE else None),
            ("status", record.final_status),
            ("outcome", record.outcome),
            ("user_id", _clean(record.user_id)),
            ("model", _clean(record.model)),
            ("stream", record.streamed or None),
            ("upstream_status", record.upstream_status),
            ("upstream_request_id", _clean(_id_of_provider(record.answer_headers))),
            ("error_type", failure and _clean(failure.type)),
            ("error_code", failure and _clean(failure.code or "")),
            ("input_tokens", record.input_tokens),
            ("output_tokens", record.output_tokens),
            ("memory", record.memory_outcome),
            ("total_ms", _ms(record.total.seconds)),
            ("upstream_ms", _ms(record.upstream.seconds)),
            ("memory_ms", _ms(record.memory.seconds) if record.memory_outcome else None),
            ("first_token_ms", _ms(record.first_token)),
            ("overhead_ms", _ms(record.overhead)),
        )
        if value is not None and value != ""
    }


def _clean(text: str) -> str:
    # Cut before, too: megabytes, such as a client may send for a name, would take seconds.
    return redact_text(text[: 8 * _LONGEST])[:_LONGEST] if text else text


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _id_of_provider(headers: Iterable[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name in _ID_OF_PROVIDER:
            return value.decode("latin-1")
    return ""


def _shown(value: Any) -> str:
    """As it is when it is one plain word, else in JSON's quotes: no value can look like another field or line."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"

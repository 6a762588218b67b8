"""Around everything else: opens a request's record, sees what is answered, and closes it whatever happens."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxies.front.observing.logs import log_request
from proxies.front.observing.metrics import Metrics
from proxies.front.observing.record import RequestRecord, opened, request_id
from proxies.front.observing.tracing import Tracing


class Observed:
    """The outermost middleware. Each message passes the moment it comes."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self.app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        record = RequestRecord(
            method=scope["method"],
            path=scope["path"],
            request_id=request_id(headers.get("x-request-id")),
        )

        async def noting(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                record.status = message["status"]
                record.answer_headers = message["headers"]
                return
            if record.first_byte is None and message.get("body"):
                record.first_byte = time.perf_counter()
            record.whole = not message.get("more_body", False)

        self._metrics.begun(record)
        try:
            with self._tracing.request(record, headers), opened(record):
                try:
                    await self.app(scope, receive, noting)
                except BaseException as error:
                    record.broken = error
                    raise
        finally:
            self._metrics.ended(record)
            log_request(record)

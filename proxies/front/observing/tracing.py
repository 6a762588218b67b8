"""OpenTelemetry spans: one for a request, and below it one for the memories and one for the call upstream.

    POST /v1/chat/completions   server, continues the client's trace
      memory lookup             client
      chat gpt-4o-mini          client, with the attributes of the conventions for generative AI

Made by the tracer provider that the process already has, else by one of our own when OpenTelemetry's variables name an
exporter or an endpoint. Otherwise nothing is done. `traceparent` goes to the provider as it came.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from proxies.front.observing.record import NO_ROUTE, Interval, RequestRecord
from proxies.support.redact import redact_text

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider
    from opentelemetry.trace import Span, Tracer, TracerProvider

SERVICE = "memory-proxy"

_EXPORTERS = "OTEL_TRACES_EXPORTER"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NOTHING: AbstractContextManager[None] = nullcontext()
_log = logging.getLogger("proxies.tracing")


class Tracing:
    """The spans of one app. `provider` is for those who bring their own, which `aclose` leaves open."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._own: SdkProvider | None = None
        self._tracer: Tracer | None = None

    def start(self) -> None:
        """Look for a provider, or make one as the environment says. What is missing is a warning, no failure."""
        provider = self._provider or _of_the_process()
        if provider is None and (names := _wanted()):
            provider = self._own = _make(names)
        if provider is not None:
            self._tracer = provider.get_tracer(SERVICE)

    async def aclose(self) -> None:
        """Sends what is still to be sent."""
        self._tracer = None
        if self._own is not None:
            own, self._own = self._own, None
            await asyncio.to_thread(own.shutdown)

    def request(self, record: RequestRecord, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """Around a request; at the end its record is closed, and the spans are made from it."""
        return _NOTHING if self._tracer is None else self._traced(self._tracer, record, headers)

    @contextmanager
    def _traced(self, tracer: Tracer, record: RequestRecord, headers: Mapping[str, str]) -> Iterator[None]:
        from opentelemetry import propagate, trace

        span = tracer.start_span(
            record.method,
            context=propagate.extract(headers),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": record.method, "url.path": redact_text(record.path)},
            start_time=_nanoseconds(record.at),
        )
        record.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        finally:
            # Those that merely ask how the proxy does are left open, and so never exported.
            if not record.background:
                _finish(tracer, span, record, trace.set_span_in_context(span))


def _finish(tracer: Tracer, span: Span, record: RequestRecord, inside: Context) -> None:
    from opentelemetry.trace import SpanKind, StatusCode

    def below(name: str, interval: Interval, attributes: Mapping[str, Any], error: str | None) -> None:
        if interval.begun is None or interval.ended is None:
            return
        child = tracer.start_span(
            name,
            context=inside,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_epoch(record, interval.begun),
        )
        if error:
            child.set_attribute("error.type", error)
            child.set_status(StatusCode.ERROR)
        child.end(_epoch(record, interval.ended))

    if record.memory_outcome in ("hit", "miss", "error"):
        outcome = record.memory_outcome
        below(
            "memory lookup",
            record.memory,
            {"memory_proxy.memory": outcome},
            "lookup_failed" if outcome == "error" else None,
        )
    error = _error(record)
    name, attributes = _call(record)
    below(name, record.upstream, attributes, error)

    if record.route != NO_ROUTE:
        span.update_name(f"{record.method} {record.route}")
        span.set_attribute("http.route", record.route)
    if record.status is not None:
        span.set_attribute("http.response.status_code", record.status)
    span.set_attribute("memory_proxy.request_id", redact_text(record.request_id))
    span.set_attribute("memory_proxy.outcome", record.outcome)
    if record.memory_outcome:
        span.set_attribute("memory_proxy.memory", record.memory_outcome)
    if error:
        span.set_attribute("error.type", error)
        # Of a server's spans those are failures that are not the client's fault.
        if record.final_status >= 500 or record.outcome != "failed":
            span.set_status(StatusCode.ERROR)
    span.end(_epoch(record, record.total.ended or time.perf_counter()))


def _call(record: RequestRecord) -> tuple[str, dict[str, Any]]:
    """Name and attributes of the call upstream."""
    if not record.model:
        return f"{record.method} {record.route}", {"http.request.method": record.method}
    operation = "embeddings" if record.route.endswith("/embeddings") else "chat"
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": record.model,
    }
    if record.provider:
        attributes["gen_ai.provider.name"] = record.provider
    if record.streamed:
        attributes["gen_ai.request.stream"] = True
    if record.first_byte is not None and record.streamed and record.upstream.begun is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = record.first_byte - record.upstream.begun
    for name, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
        if tokens is not None:
            attributes[f"gen_ai.usage.{name}_tokens"] = tokens
    if record.upstream_status is not None:
        attributes["http.response.status_code"] = record.upstream_status
    return f"{operation} {record.model}", attributes


def _error(record: RequestRecord) -> str | None:
    outcome = record.outcome
    if outcome == "ok":
        return None
    if outcome in ("failed", "stream_failed"):
        return record.failure.type if record.failure is not None else str(record.final_status)
    return outcome


def _epoch(record: RequestRecord, moment: float) -> int:
    return _nanoseconds(record.at + moment - (record.total.begun or moment))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _disabled() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _of_the_process() -> TracerProvider | None:
    """The provider that the program around us has set; who sets one has imported the API."""
    if _disabled() or "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    idle = isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider)
    return None if idle else provider


def _wanted() -> list[str]:
    """The exporters that the environment names; OTLP where it only names an endpoint."""
    if _disabled():
        return []
    given = os.environ.get(_EXPORTERS, "").strip()
    if not given and any(os.environ.get(name, "").strip() for name in _ENDPOINTS):
        given = "otlp"
    names = [name.strip() for name in given.split(",")]
    return [name for name in names if name not in ("", "none")]


def _make(names: list[str]) -> SdkProvider | None:
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("traces are asked for, but OpenTelemetry is missing: pip install 'proxy-parity[otel]'")
        return None
    exporters = [exporter for name in names if (exporter := _exporter(name)) is not None]
    if not exporters:
        return None
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": SERVICE}))
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _exporter(name: str) -> Any:
    known = name
    if name == "otlp":
        protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL"
        )
        known = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for found in entry_points(group="opentelemetry_traces_exporter", name=known):
        try:
            return found.load()()
        except Exception as error:
            _log.warning("the exporter of traces '%s' can't be used: %s", name, error)
            return None
    _log.warning("there is no exporter of traces '%s'; 'proxy-parity[otel]' brings otlp and console", name)
    return None

"""Spans as a collector of OpenTelemetry's gets them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from parity.targets.arms import Arm
from tests.answering import Answering
from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, looked_up_at, question, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, as protobuf."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(Answering):
    server: Collector

    def do_POST(self) -> None:
        assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def test_a_collector_gets_the_spans(
    arm: Arm, far_end: FarEnd, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request, its lookup and its call, in the client's trace; what is still to be sent goes out with SIGTERM."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    document = config(far_end, context_retrieval=looked_up_at(far_end))
    async with serving(arm, tmp_path, document) as (_, url), client(url) as asking:
        sent = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-memory-user-id": "ann"}
        answer = await asking.post(
            "/v1/chat/completions", json=question("openai", "question 1"), headers=sent
        )
        assert (answer.status_code, answer.headers["x-memory"]) == (200, "hit")
        assert (await asking.get("/health")).status_code == 200
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"POST /v1/chat/completions", "memory lookup", "chat openai"}
    whole = spans["POST /v1/chat/completions"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert whole.parent_span_id.hex() == CALLER
    for name in ("memory lookup", "chat openai"):
        span = spans[name]
        assert span.parent_span_id == whole.span_id
        assert whole.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano
    attributes = {attribute.key: attribute.value for attribute in spans["chat openai"].attributes}
    assert attributes["gen_ai.request.model"].string_value == "openai"
    resource = collector.requests[0].resource_spans[0].resource
    assert [a.value.string_value for a in resource.attributes if a.key == "service.name"] == ["memory-proxy"]
    assert "question 1" not in str(collector.requests)
    assert "ann" not in str([span.attributes for span in collector.spans])

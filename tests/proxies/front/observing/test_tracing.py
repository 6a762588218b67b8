from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxies.front.app import build_app
from proxies.front.observing import tracing
from proxies.front.observing.tracing import Tracing
from proxies.upstream_errors import upstream_error
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config
from tests.root import ROOT

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

CHAT = "/v1/chat/completions"
ASKED = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    made = InMemorySpanExporter()
    yield made
    made.shutdown()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[Tracing]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = Tracing(provider)
    made.start()
    yield made
    provider.shutdown()


async def ask(
    traces: Tracing, backend: FakeBackend, path: str = CHAT, method: str = "POST", **options: Any
) -> httpx.Response:
    sections = options.pop("sections", {})
    app = build_app(make_config(**sections), backend, traces)
    headers = {"authorization": f"Bearer {KEY}", **options.pop("headers", {})}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.request(method, path, headers=headers, **options)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_spans_of_a_request(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """A server's span that continues the client's trace, below it the call upstream in the conventions' words."""
    backend = FakeBackend(reply={"usage": {"prompt_tokens": 3, "completion_tokens": 5}})
    sent = {"traceparent": TRACEPARENT, "x-request-id": "mine-1"}
    await ask(traces, backend, json=ASKED, headers=sent)
    call, server = exporter.get_finished_spans()
    assert server.context is not None
    assert server.parent is not None
    assert f"{server.context.trace_id:032x} {server.parent.span_id:016x}" == f"{TRACE} {PARENT}"
    assert (server.name, server.kind, server.status.status_code) == (
        f"POST {CHAT}",
        SpanKind.SERVER,
        StatusCode.UNSET,
    )
    assert attributes(server) == {
        "http.request.method": "POST",
        "url.path": CHAT,
        "http.route": CHAT,
        "http.response.status_code": 200,
        "memory_proxy.request_id": "mine-1",
        "memory_proxy.outcome": "ok",
    }
    assert call.parent == server.context
    assert (call.name, call.kind) == ("chat fast", SpanKind.CLIENT)
    assert attributes(call) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "fast",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 5,
        "http.response.status_code": 200,
    }
    moments = (server.start_time, call.start_time, call.end_time, server.end_time)
    assert list(moments) == sorted(moment or 0 for moment in moments)


async def test_traceparent_goes_on_as_it_came(traces: Tracing) -> None:
    """What the provider gets doesn't depend on whether we trace, nor does what the client gets."""
    traced, plain = FakeBackend(reply={}), FakeBackend(reply={})
    sent = {"traceparent": TRACEPARENT}
    one = await ask(traces, traced, json=ASKED, headers=sent)
    other = await ask(Tracing(), plain, json=ASKED, headers=sent)
    assert traced.calls == plain.calls
    assert traced.calls[0].headers == sent
    assert one.headers == other.headers


async def test_a_stream(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """The call lasts until the stream's end, and says when its first chunk was sent."""
    wait = asyncio.Event()
    app = build_app(make_config(), FakeBackend(chunks=[{"a": 1}, wait, {"b": 2}]), traces)
    body = json.dumps({**ASKED, "stream": True}).encode()
    exchange = Exchange(app, CHAT, body, {"authorization": f"Bearer {KEY}"})
    await exchange.message()
    await exchange.message()
    await asyncio.sleep(0.05)
    wait.set()
    await exchange.end()
    call, _ = exporter.get_finished_spans()
    lasted = ((call.end_time or 0) - (call.start_time or 0)) / 1e9
    assert attributes(call)["gen_ai.request.stream"] is True
    assert 0 < attributes(call)["gen_ai.response.time_to_first_chunk"] <= lasted - 0.045


async def test_a_failure(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """Both spans name its type; the provider's status is the call's, the client's the server's."""
    await ask(traces, FakeBackend(error=upstream_error(408, "Request timed out.", answered=True)), json=ASKED)
    call, server = exporter.get_finished_spans()
    assert [attributes(span)["error.type"] for span in (call, server)] == ["timeout_error"] * 2
    assert [attributes(span)["http.response.status_code"] for span in (call, server)] == [408, 504]
    assert [span.status.status_code for span in (call, server)] == [StatusCode.ERROR] * 2


async def test_a_refusal(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """The client's own mistake is no failure of the server; nothing was called."""
    await ask(traces, FakeBackend(), json={**ASKED, "model": "nope"})
    await ask(traces, FakeBackend(), "/sk-hunter22", "GET")
    unknown, lost = exporter.get_finished_spans()
    assert attributes(unknown)["error.type"] == "not_found_error"
    assert unknown.status.status_code is StatusCode.UNSET
    assert (lost.name, attributes(lost)["url.path"], attributes(lost)["error.type"]) == ("GET", "/***", "404")


async def test_memories(traces: Tracing, exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    """A lookup has a span; one that was skipped has none."""
    memories = {"enabled": True, "store": "embedded", "path": str(tmp_path / "memory.db")}
    for headers in ({}, {"x-memory": "off"}):
        sections = {"context_retrieval": memories}
        await ask(traces, FakeBackend(reply={}), json=ASKED, headers=headers, sections=sections)
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["memory lookup", "chat fast", f"POST {CHAT}", "chat fast", f"POST {CHAT}"]
    assert attributes(exporter.get_finished_spans()[0]) == {"memory_proxy.memory": "miss"}


async def test_what_asks_about_the_proxy_has_no_span(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """Probes and scrapes are no traffic."""
    for path in ("/health", "/metrics"):
        await ask(traces, FakeBackend(), path, "GET")
    assert exporter.get_finished_spans() == ()


async def test_no_content_and_no_user(traces: Tracing, exporter: InMemorySpanExporter) -> None:
    """Traces often leave the house: neither what is said nor who says it is in them, nor a key."""
    messages = [{"role": "user", "content": "private question"}]
    backend = FakeBackend(reply={"text": "private answer"})
    sent = {"x-memory-user-id": "private-user"}
    await ask(traces, backend, json={**ASKED, "messages": messages}, headers=sent)
    shown = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "private" not in shown
    assert KEY not in shown


async def test_the_span_is_current_while_the_request_is_served(
    traces: Tracing, exporter: InMemorySpanExporter
) -> None:
    """So what other libraries trace hangs below it."""
    from opentelemetry import trace

    class Backend(FakeBackend):
        async def complete(self, call: Any) -> Any:
            self.span = trace.get_current_span().get_span_context()
            return await super().complete(call)

    backend = Backend(reply={})
    await ask(traces, backend, json=ASKED)
    assert backend.span == exporter.get_finished_spans()[-1].context


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, []),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, []),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ["console", "otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h", "OTEL_SDK_DISABLED": "TRUE"}, []),
    ],
)
def test_what_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: list[str]
) -> None:
    """OpenTelemetry's own variables decide: an exporter, or an endpoint, which means OTLP."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert tracing._wanted() == names


async def test_a_provider_of_our_own(monkeypatch: pytest.MonkeyPatch, exporter: InMemorySpanExporter) -> None:
    """It is made at the start, named `memory-proxy`, and what it has is sent at the end."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setattr(tracing, "_exporter", {"console": exporter}.__getitem__)
    monkeypatch.setattr(tracing, "_of_the_process", lambda: None)
    own = Tracing()
    own.start()
    await ask(own, FakeBackend(reply={}), json=ASKED)
    await own.aclose()
    await own.aclose()
    call, server = exporter.get_finished_spans()
    assert (call.name, server.name) == ("chat fast", f"POST {CHAT}")
    assert server.resource.attributes["service.name"] == "memory-proxy"


async def test_ours_are_the_only_ones() -> None:
    """With a provider for the whole process each request still has one server's span."""
    said = run("""
        import asyncio, json
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from proxies.front.observing.tracing import Tracing
        from tests.proxies.front.fakes import FakeBackend
        from tests.proxies.front.observing.test_tracing import ASKED, ask
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        traces = Tracing()
        traces.start()
        asyncio.run(ask(traces, FakeBackend(reply={}), json=ASKED))
        print(json.dumps([span.name for span in exporter.get_finished_spans()]))
    """)
    assert json.loads(said) == ["chat fast", f"POST {CHAT}"]


def test_a_name_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over ours."""
    for variable, value in (("OTEL_SERVICE_NAME", "mine"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine")):
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            provider = tracing._make(["console"])
            assert provider is not None
            assert provider.resource.attributes["service.name"] == "mine"
            provider.shutdown()


def test_an_exporter_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """It is named in a warning, and the proxy goes on without traces."""
    assert tracing._make(["no-such-exporter"]) is None
    assert "no exporter of traces 'no-such-exporter'" in caplog.text


def test_otlp_by_its_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP, unless the environment says gRPC."""
    asked: list[str] = []

    def entry_points(group: str, name: str) -> list[Any]:
        asked.append(f"{group} {name}")
        return []

    monkeypatch.setattr(tracing, "entry_points", entry_points)
    tracing._exporter("otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    tracing._exporter("otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    tracing._exporter("otlp")
    kinds = ["otlp_proto_http", "otlp_proto_grpc", "otlp_proto_http"]
    assert asked == [f"opentelemetry_traces_exporter {kind}" for kind in kinds]


def run(script: str, **variables: str) -> str:
    """What `script` says in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
        env={"PATH": "", "PYTHONPATH": str(ROOT), **variables},
    )
    return done.stdout + done.stderr


def test_no_sdk_is_imported_unless_it_is_asked_for() -> None:
    """Who doesn't trace doesn't pay."""
    said = run("""
        import sys
        from proxies.front.observing.tracing import Tracing
        Tracing().start()
        print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
    """)
    assert said.strip() == "[]"


def test_without_the_sdk() -> None:
    """That it is missing is said, with what to install; nothing fails."""
    said = run(
        """
        import sys
        sys.modules["opentelemetry.sdk.trace"] = None
        from proxies.front.observing.tracing import Tracing
        Tracing().start()
        print("goes on")
        """,
        OTEL_TRACES_EXPORTER="otlp",
    )
    assert "pip install 'proxy-parity[otel]'" in said
    assert "goes on" in said


def test_the_provider_of_the_process() -> None:
    """Who runs the app in a program with a provider of its own finds our spans there; disabled means disabled."""
    script = """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from proxies.front.observing import tracing
        print(tracing._of_the_process())
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
        print(tracing._of_the_process() is provider)
    """
    assert run(script).split() == ["None", "True"]
    assert run(script, OTEL_SDK_DISABLED="true").split() == ["None", "False"]

"""GET /metrics: Prometheus' text, the same names in both architectures.

Labels have few values, whatever clients send: routes of the table, configured models, statuses. No user ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector

from proxies.front.observing import together
from proxies.front.observing.record import RequestRecord
from proxies.shared import Shared

UNKNOWN_MODEL = "unknown"

_ANSWERS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 600)
_TOKENS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 80)
_OWN = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LOOKUPS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one app, in a registry of their own. `sessions` and `restarts`: as in `Backend`.

    Those of all workers are shown together: counts add up, also of workers that have ended, and so do gauges.
    """

    def __init__(
        self,
        sessions: Callable[[], Mapping[str, int]],
        restarts: Callable[[], int],
        shared: Shared | None = None,
    ) -> None:
        self._shared = shared or Shared()
        self._folder = together.folder_of(self._shared)
        self._registry = CollectorRegistry()
        self._gauges = together.Gauges(self._registry, self._folder)
        self._open: set[RequestRecord] = set()
        with together.kept_in(self._folder):
            self._make(sessions, restarts)

    def _make(self, sessions: Callable[[], Mapping[str, int]], restarts: Callable[[], int]) -> None:
        registry = self._registry
        self._requests = Counter(
            "memory_proxy_requests",
            "Requests that have ended. Status 499: the client had gone.",
            ("route", "model", "status", "outcome"),
            registry=registry,
        )
        self._total = Histogram(
            "memory_proxy_request_seconds",
            "From the request's arrival to the end of its answer.",
            ("route",),
            buckets=_ANSWERS,
            registry=registry,
        )
        self._upstream = Histogram(
            "memory_proxy_upstream_seconds",
            "From the call upstream to its end; a stream's lasts as long as its client takes to read it.",
            ("route", "model"),
            buckets=_ANSWERS,
            registry=registry,
        )
        self._first_token = Histogram(
            "memory_proxy_time_to_first_token_seconds",
            "From the request's arrival until the first bytes of a stream were sent.",
            ("route", "model"),
            buckets=_TOKENS,
            registry=registry,
        )
        self._overhead = Histogram(
            "memory_proxy_overhead_seconds",
            "The proxy's own part: all but waiting for the client's body, for memories and for upstream.",
            ("route",),
            buckets=_OWN,
            registry=registry,
        )
        self._lookups = Counter(
            "memory_proxy_memory_lookups",
            "What came of looking memories up: hit, miss, skipped, error.",
            ("outcome",),
            registry=registry,
        )
        if self._folder is not None:
            self._lookups.labels("hit")  # or there would be no counter yet that has a value
        self._lookup = Histogram(
            "memory_proxy_memory_seconds",
            "Time spent on looking memories up; skipped ones don't count.",
            buckets=_LOOKUPS,
            registry=registry,
        )

        gauge = self._gauges.add
        gauge("memory_proxy_requests_in_flight", "Requests being served.", self._in_flight)
        gauge("memory_proxy_open_streams", "Streams being sent.", self._streams)
        gauge("memory_proxy_tasks", "Tasks of the event loop.", _tasks)
        gauge("memory_proxy_sessions", "Clients kept for upstreams.", lambda: sessions().get("open", 0))
        gauge(
            "memory_proxy_session_upstreams",
            "Upstreams that clients are kept for.",
            lambda: sessions().get("upstreams", 0),
        )
        gauge("memory_proxy_litellm_restarts", "Restarts of the proxy's own LiteLLM process.", restarts)
        gauge("memory_proxy_workers", "Processes that serve.", lambda: 1)
        if self._folder is None:
            ProcessCollector(registry=registry)

    def kept_current(self) -> AbstractContextManager[None]:
        """While inside, other workers see this one's gauges as they were a second ago. Call it in the event loop."""
        return self._gauges.looked_at()

    def begun(self, record: RequestRecord) -> None:
        """A request has come."""
        self._open.add(record)

    def ended(self, record: RequestRecord) -> None:
        """It has been served, and its record closed."""
        self._open.discard(record)
        route = record.route
        model = record.model if record.known else UNKNOWN_MODEL if record.model else ""
        self._requests.labels(route, model, str(record.final_status), record.outcome).inc()
        if record.background:
            return
        self._total.labels(route).observe(record.total.seconds or 0.0)
        if record.memory_outcome:
            self._lookups.labels(record.memory_outcome).inc()
            if record.memory_outcome != "skipped":
                self._lookup.observe(record.memory.seconds or 0.0)
        if record.upstream.seconds is not None:
            self._upstream.labels(route, model).observe(record.upstream.seconds)
        if record.overhead is not None:
            self._overhead.labels(route).observe(record.overhead)
        if record.first_token is not None:
            self._first_token.labels(route, model).observe(record.first_token)

    def text(self) -> bytes:
        """Every family with its samples. Call it in the event loop, whose tasks are counted."""
        registry = self._registry
        if self._folder is not None:
            self._gauges.look()
            registry = together.of_all(self._folder, self._shared)
        return generate_latest(_WithoutDates(registry))

    def _in_flight(self) -> int:
        return sum(not record.background for record in self._open)

    def _streams(self) -> int:
        return sum(record.streamed for record in self._open)


class _WithoutDates(Collector):
    """A registry whose counters don't say when they began: a series each, of no use to Prometheus' text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _tasks() -> int:
    return len(asyncio.all_tasks())

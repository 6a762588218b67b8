"""Notes what is known of a request while it is served. The log line, the metrics and the spans are made from it.

    Observed ── makes it ──> endpoint, calling, streaming ── note in it ──> Observed ── closes it, hands it on

`current()` gives the one of the request under way; the tasks that a request starts see the same.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from proxies.errors import ProxyError

if TYPE_CHECKING:
    from proxies.config.models import Deployment

Outcome = Literal["ok", "failed", "stream_failed", "client_disconnected", "aborted"]
"""`stream_failed`: after its first frame; `aborted`: by a shutdown, or a bug in the middle of an answer."""

CLIENT_DISCONNECTED = 499
"""The status of a request that nobody was left to answer; nginx's number, never sent."""

NO_ROUTE = "none"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:@/+=-]{1,128}")


class Interval:
    """A stretch of time, in the seconds of `time.perf_counter`; as a context manager it times its block."""

    __slots__ = ("begun", "ended")

    def __init__(self) -> None:
        self.begun: float | None = None
        self.ended: float | None = None

    def begin(self) -> None:
        self.begun = time.perf_counter()

    def end(self) -> None:
        """The first call counts, and none before `begin`."""
        if self.begun is not None and self.ended is None:
            self.ended = time.perf_counter()

    @property
    def seconds(self) -> float | None:
        return None if self.begun is None or self.ended is None else self.ended - self.begun

    def __enter__(self) -> Interval:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@dataclass(slots=True, eq=False)
class RequestRecord:
    """One request. Text is as the client sent it, so it is redacted before it is shown.

    `model` is the one asked for, `known` whether it is configured; `provider` is LiteLLM's name of who serves it.
    """

    method: str = ""
    path: str = ""
    request_id: str = ""
    route: str = NO_ROUTE
    background: bool = False
    user_id: str = ""
    model: str = ""
    known: bool = False
    provider: str = ""
    streamed: bool = False
    memory_outcome: str = ""
    status: int | None = None
    answer_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    failure: ProxyError | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    trace_id: str = ""
    whole: bool = False
    broken: BaseException | None = None
    at: float = field(default_factory=time.time)
    total: Interval = field(default_factory=Interval)
    reading: Interval = field(default_factory=Interval)
    memory: Interval = field(default_factory=Interval)
    upstream: Interval = field(default_factory=Interval)
    first_byte: float | None = None

    def note_model(self, name: str, deployments: Sequence[Deployment]) -> None:
        """The model asked for, and the group that stands behind it, empty when it isn't configured."""
        self.model, self.known = name, bool(deployments)
        if deployments:
            params = deployments[0].litellm_params
            prefix, slash, _ = params["model"].partition("/")
            self.provider = str(params.get("custom_llm_provider") or (prefix if slash else ""))

    def close(self) -> None:
        """Nothing more will be noted; what still runs has ended."""
        for interval in (self.upstream, self.memory, self.reading, self.total):
            interval.end()

    def note_usage(self, said: Mapping[str, Any]) -> None:
        """The tokens that an answer, or a chunk of one, speaks of; any dialect."""
        usage = said.get("usage")
        # Anthropic's first event holds a message, events of `/v1/responses` the whole response.
        if usage is None and isinstance(inner := said.get("message") or said.get("response"), dict):
            usage = inner.get("usage")
        if isinstance(usage, dict):
            self.input_tokens = _tokens(usage, "prompt_tokens", "input_tokens", self.input_tokens)
            self.output_tokens = _tokens(usage, "completion_tokens", "output_tokens", self.output_tokens)

    @property
    def outcome(self) -> Outcome:
        if self.broken is not None and not isinstance(self.broken, OSError):
            return "aborted"
        if self.broken is not None or not self.whole:
            return "client_disconnected"
        if self.failure is None and (self.status or 0) < 400:
            return "ok"
        return "stream_failed" if (self.status or 0) < 400 else "failed"

    @property
    def final_status(self) -> int:
        """Return the status that was answered; 499 when the client had gone before the end."""
        if self.outcome == "client_disconnected":
            return CLIENT_DISCONNECTED
        return self.status or 500

    @property
    def upstream_status(self) -> int | None:
        """The provider's own, where it is known."""
        if self.failure is not None and self.failure.upstream_status is not None:
            return self.failure.upstream_status
        return 200 if self.upstream.begun is not None and self.status == 200 else None

    @property
    def first_token(self) -> float | None:
        """Seconds from the request's arrival until a stream's first bytes were sent."""
        if not self.streamed or self.first_byte is None or self.total.begun is None:
            return None
        return self.first_byte - self.total.begun

    @property
    def overhead(self) -> float | None:
        """Seconds of our own: without waiting for the client's body, for memories and for upstream.

        None where nothing went upstream.
        """
        total, upstream = self.total.seconds, self.upstream.seconds
        if total is None or upstream is None:
            return None
        return max(0.0, total - upstream - (self.memory.seconds or 0.0) - (self.reading.seconds or 0.0))


def _tokens(usage: Mapping[str, Any], openai: str, anthropic: str, else_: int | None) -> int | None:
    value = usage.get(openai, usage.get(anthropic))
    return value if isinstance(value, int) else else_


_current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)


def current() -> RequestRecord:
    """The record of the request under way; one that nobody reads, where there is no request."""
    return _current.get() or RequestRecord()


@contextmanager
def opened(record: RequestRecord) -> Iterator[RequestRecord]:
    """`record` is the current one inside, and its total time runs."""
    token = _current.set(record)
    record.total.begin()
    try:
        yield record
    finally:
        record.close()
        _current.reset(token)


def request_id(given: str | None) -> str:
    """The client's own id where it is short and plain, else a new one of 32 hex digits."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex

"""The seam between what both proxies share and what differs: one call in, one reply or stream out.

front (routes, auth, checks, envelopes)  ──Call──>  Backend (binary | sdk)
                                         <──Reply / Stream / ProxyError──

A backend returns what came, and the front makes of it what the client may see: it filters the provider's headers, puts
the model's name back that the client asked for, and leaves out nulls; of answers, streams and failures alike.

    class Backend:
        forward = None  # only the routes of proxies.dialects.kinds

        async def complete(self, call: Call) -> Reply:
            answer = await ask_somebody(call.route, {"model": call.model, **call.params}, call.headers)
            if answer.status != 200:
                raise upstream_error(answer.status, answer.text, answered=True, headers=answer.headers)
            return Reply(answer.json(), answer.headers)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Call:
    """One request that passed every check of the front and may go upstream.

    `route` is one of `proxies.dialects.kinds`; `params` is the client's JSON body without
    `model`; it is never mutated.
    `headers` are the allow-listed ones for the provider (lower-case names), the memory headers included.
    """

    route: str
    model: str
    params: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer as it came: `headers` are the provider's, all of them."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Stream(Protocol):
    """An answer in chunks: `headers` as in `Reply`, iteration yields chunk objects as they arrive.

    On `messages` these are Anthropic's events as they came, error events too.

    Iteration raises `proxies.errors.ProxyError` when the upstream fails; `aclose` cancels the upstream
    call, is idempotent, and is always called by the front.
    """

    @property
    def headers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request of another data route, checked and to be handed on as it is.

    `path` starts with `/v1/` and is as the client wrote it, `query` too, without its question mark. `body` is what was
    read of the client's, written anew. `headers` are those that may travel, lower-case names, what describes the body
    included.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | AsyncIterator[bytes]
    user_id: str = ""


class Passage(Protocol):
    """Holds what came back for a `Forwarded`: iteration yields the body as it arrives. Always closed by the front."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


Forward = Callable[[Forwarded], Coroutine[Any, Any, Passage]]


class Backend(Protocol):
    """Names what an architecture must supply. Failures are `proxies.errors.ProxyError`.

    Cancelling `complete` or `stream` cancels the upstream call.
    """

    async def start(self) -> None: ...

    async def check_ready(self) -> None:
        """Return when the backend can be used, else raise `ProxyError` (503) with the reason."""

    async def complete(self, call: Call) -> Reply: ...

    async def stream(self, call: Call) -> Stream: ...

    async def count(self, call: Call) -> Reply:
        """How many tokens a message has, as its provider counts them (`proxies.counting`)."""

    def sessions(self) -> dict[str, int]:
        """How many persistent clients there are: `open`, for how many `upstreams`, of at most `limit`."""

    def restarts(self) -> int:
        """How often a LiteLLM process of the backend's own was started again after it had served."""

    @property
    def forward(self) -> Forward | None:
        """Answers other data routes; None in an architecture that has none of them."""

    async def aclose(self) -> None: ...

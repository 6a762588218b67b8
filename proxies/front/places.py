"""Limits what a request may take, in the order in which it costs: its headers, then a place among those served."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from proxies.config.limits import Limits
from proxies.errors import ProxyError
from proxies.headers import check_framing
from proxies.shared import Count, Shared

RETRY_AFTER = "1"
"""Seconds. A place is free as soon as any answer ends."""


class Places:
    """How many requests are being answered, and may be at once, by all workers that have `taken` in common."""

    def __init__(self, limit: int, taken: Count | None = None) -> None:
        self.limit = limit
        self._taken = taken or Shared().count()

    @property
    def taken(self) -> int:
        return self._taken.total()

    def take(self) -> Place:
        """A place, to be freed. Raises `ProxyError` 503 when there is none."""
        self._taken.add(1)  # first, so that two workers never take the last place both
        if self.taken > self.limit:
            self._taken.add(-1)
            raise ProxyError(
                503,
                f"The proxy is busy: it answers {self.limit} requests already. Try again.",
                headers={"retry-after": RETRY_AFTER},
            )
        return Place(self._taken)


class Place:
    """One request's place; `free` counts once."""

    def __init__(self, taken: Count) -> None:
        self._taken: Count | None = taken

    def free(self) -> None:
        if self._taken is not None:
            self._taken.add(-1)
            self._taken = None

    def until_sent(self, answer: ASGIApp) -> ASGIApp:
        """`answer`, which frees the place when it has been sent, however that ends."""

        async def send_it(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await answer(scope, receive, send)
            finally:
                self.free()

        return send_it


def check_headers(headers: Sequence[tuple[bytes, bytes]], limits: Limits) -> None:
    """Return when there are not too many, and they frame one body; raises `ProxyError` 431 or 400."""
    if len(headers) > limits.max_headers:
        raise ProxyError(431, f"The request has more than {limits.max_headers} headers.")
    if sum(len(name) + len(value) for name, value in headers) > limits.max_header_bytes:
        raise ProxyError(431, f"The request's headers are larger than {limits.max_header_bytes} bytes.")
    check_framing(headers)

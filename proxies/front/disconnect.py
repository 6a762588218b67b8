"""A client that goes away cancels what was done for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

Result = TypeVar("Result")


class ClientGone(Exception):
    """The client disconnected; nobody is left to be answered."""


async def until_disconnect(receive: Receive) -> None:
    """Return when the client has gone. The request's body must have been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def or_disconnect(work: Coroutine[Any, Any, Result], receive: Receive) -> Result:
    """The result of `work`; if the client goes away first, `work` is cancelled and `ClientGone` raised.

    `work` has ended when this returns or raises, also when the caller itself is cancelled.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(until_disconnect(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(working, watching, return_exceptions=True)


async def send_then_close(
    sending: Coroutine[Any, Any, None], receive: Receive, close: Callable[[], Awaitable[None]]
) -> None:
    """Run `sending` until it is done or the client has gone; whatever ended it, `close` is run to its end."""
    try:
        await or_disconnect(sending, receive)
    except ClientGone:
        pass
    finally:
        # Also on cancellation, which must not stop the closing half-way.
        await asyncio.shield(asyncio.ensure_future(close()))


async def no_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI response to a client that has gone."""

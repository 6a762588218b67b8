from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from proxies.front.observing.metrics import Metrics
from proxies.front.observing.middleware import Observed
from proxies.front.observing.record import RequestRecord, current
from proxies.front.observing.tracing import Tracing


class Noting(Metrics):
    """Keeps the records that it is told of."""

    def __init__(self) -> None:
        super().__init__(dict, int)
        self.under_way: list[RequestRecord] = []
        self.done: list[RequestRecord] = []

    def begun(self, record: RequestRecord) -> None:
        self.under_way.append(record)

    def ended(self, record: RequestRecord) -> None:
        self.under_way.remove(record)
        self.done.append(record)


async def serve(app: Any, send: Any, metrics: Noting, **scope: Any) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": "/p", "headers": [], **scope}
    await Observed(app, metrics, Tracing())(scope, receive, send)


async def sent(_: Message) -> None:
    pass


async def test_an_answer() -> None:
    """Status, first byte and end are seen as they pass; an empty message is no byte."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        record = current()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        assert record.first_byte is None
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert record.first_byte is not None
        assert not record.whole
        await send({"type": "http.response.body"})

    metrics = Noting()
    await serve(app, sent, metrics, headers=[(b"x-request-id", b"mine")])
    [record] = metrics.done
    assert (record.method, record.path, record.request_id) == ("GET", "/p", "mine")
    assert (record.status, record.whole, record.outcome) == (201, True, "ok")
    assert record.total.seconds is not None


async def test_messages_pass_at_once() -> None:
    """Each is handed on before the next one is asked for, and is what it was."""
    order: list[str] = []
    body: Message = {"type": "http.response.body", "body": b"x", "more_body": True}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(body)
        order.append("app")

    async def client(message: Message) -> None:
        assert message is body
        order.append("client")

    await serve(app, client, Noting())
    assert order == ["client", "app"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(KeyError(), "aborted"), (asyncio.CancelledError(), "aborted"), (OSError(), "client_disconnected")],
)
async def test_what_breaks_is_accounted_for(error: BaseException, outcome: str) -> None:
    """The record is closed, and the exception goes its way."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    metrics = Noting()
    with pytest.raises(type(error)):
        await serve(app, sent, metrics)
    assert metrics.under_way == []
    assert [record.outcome for record in metrics.done] == [outcome]


async def test_a_send_that_fails() -> None:
    """A connection that is lost while it is written to is a client that went away."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def lost(_: Message) -> None:
        raise ConnectionResetError

    metrics = Noting()
    with pytest.raises(ConnectionResetError):
        await serve(app, lost, metrics)
    assert [record.final_status for record in metrics.done] == [499]


async def test_other_scopes() -> None:
    """A lifespan is no request."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    metrics = Noting()
    await serve(app, sent, metrics, type="lifespan")
    assert (seen, metrics.done) == (["lifespan"], [])

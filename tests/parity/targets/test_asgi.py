"""The streaming transport, against hand-made ASGI apps that do one thing each."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from parity.targets import asgi
from parity.targets.asgi import AppFailure, StreamingASGITransport
from tests.polling import until

URL = "http://app.invalid/a%20path?q=1&q=2"


def client(app: ASGIApp, has_read: Callable[[], None] = lambda: None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=StreamingASGITransport(app, has_read))


async def start(send: Send, status: int = 200, **headers: str) -> None:
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def body(send: Send, content: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


def answering(*pieces: bytes, status: int = 200, **headers: str) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, status, **headers)
        for position, piece in enumerate(pieces):
            await body(send, piece, more=position < len(pieces) - 1)

    return app


async def collect(response: httpx.Response, read: list[bytes]) -> None:
    async for piece in response.aiter_raw():
        read.append(piece)


async def test_app_sees_the_request_as_a_server_gives_it() -> None:
    """Method, decoded path, query, lower-case headers and the whole body reach the app."""
    seen: dict[str, Any] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.update(scope, message=await receive())
        await start(send)
        await body(send, b"")

    async with client(app) as http:
        await http.put(URL, content=b"all of it", headers={"X-Some-Name": "value"})
    assert (seen["method"], seen["path"], seen["raw_path"]) == ("PUT", "/a path", b"/a%20path")
    assert seen["query_string"] == b"q=1&q=2"
    assert (b"x-some-name", b"value") in seen["headers"]
    assert seen["message"] == {"type": "http.request", "body": b"all of it", "more_body": False}


async def test_pieces_arrive_while_the_app_is_running() -> None:
    """Each piece is read before the app sends the next: the answer is never collected first."""
    order: list[str] = []
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        for name in ("one", "two", "three"):
            order.append(f"sends {name}")
            await body(send, name.encode(), more=True)
            await go_on.wait()
            go_on.clear()
        await body(send, b"")

    async with asyncio.timeout(5), client(app) as http, http.stream("GET", URL) as response:
        async for piece in response.aiter_raw():
            order.append(f"read {piece.decode()}")
            go_on.set()
    assert order == ["sends one", "read one", "sends two", "read two", "sends three", "read three"]


async def test_has_read_is_called_for_each_piece_with_content() -> None:
    """The reader is noticed piece by piece; an empty piece is no piece."""
    reads = []
    async with client(answering(b"a", b"", b"b", b""), lambda: reads.append(1)) as http:
        assert (await http.get(URL)).content == b"ab"
    assert len(reads) == 2


async def test_closing_early_reaches_the_app_as_disconnect() -> None:
    """A response that is closed before its end is an `http.disconnect` for the app, and not before."""
    received: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append((await receive())["type"])
        await start(send)
        await body(send, b"first", more=True)
        received.append((await receive())["type"])

    async with client(app) as http, http.stream("GET", URL) as response:
        assert await anext(response.aiter_raw()) == b"first"
        assert received == ["http.request"]
    assert received == ["http.request", "http.disconnect"]


async def test_cancelling_before_the_start_reaches_the_app_as_disconnect() -> None:
    """A client that gives up before there is a status disconnects too."""
    received: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            received.append((await receive())["type"])

    async with client(app) as http:
        asking = asyncio.create_task(http.get(URL))
        await until(lambda: received == ["http.request"])
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert received == ["http.request", "http.disconnect"]


async def fails_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("nothing here")


async def returns_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def sends_a_body_first(scope: Scope, receive: Receive, send: Send) -> None:
    await body(send, b"too early")


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (fails_at_once, "nothing here"),
        (returns_at_once, "without a whole answer"),
        (sends_a_body_first, "http.response.body where http.response.start was due"),
    ],
)
async def test_no_start_is_an_app_failure(app: ASGIApp, reason: str) -> None:
    """An app that raises, returns or speaks out of turn before the start breaks the connection, with the reason."""
    async with client(app) as http:
        with pytest.raises(AppFailure, match=reason):
            await http.get(URL)


async def test_app_failure_keeps_the_cause() -> None:
    """The app's own exception, with its traceback, is the cause of the failure."""
    async with client(fails_at_once) as http:
        with pytest.raises(AppFailure) as caught:
            await http.get(URL)
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.parametrize("raises", [True, False])
async def test_half_an_answer_is_an_app_failure(raises: bool) -> None:
    """What was sent before an app ended half-way is read, then the stream breaks."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"half", more=True)
        if raises:
            raise LookupError("lost the rest")

    read: list[bytes] = []
    async with client(app) as http, http.stream("GET", URL) as response:
        with pytest.raises(AppFailure, match="whole answer"):
            await collect(response, read)
    assert read == [b"half"]


async def test_a_second_start_is_an_app_failure() -> None:
    """Only body messages may follow the start."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await start(send)

    async with client(app) as http:
        with pytest.raises(AppFailure, match=r"where http\.response\.body was due"):
            await http.get(URL)


@pytest.mark.parametrize(
    ("declared", "pieces"), [("3", [b"four"]), ("5", [b"four"]), ("5", [b"fo", b"ur"]), ("1", [b""])]
)
async def test_content_length_must_match(declared: str, pieces: list[bytes]) -> None:
    """A body longer or shorter than its content-length breaks, as it does behind a server."""
    async with client(answering(*pieces, content_length=declared)) as http:
        with pytest.raises(AppFailure, match=f"content-length is {declared}"):
            await http.get(URL)


async def test_too_long_a_body_is_not_handed_over() -> None:
    """No byte past the declared length reaches the client."""
    read: list[bytes] = []
    app = answering(b"ab", b"cd", content_length="3")
    async with client(app) as http, http.stream("GET", URL) as response:
        with pytest.raises(AppFailure):
            await collect(response, read)
    assert read == [b"ab"]


async def test_a_right_content_length_passes() -> None:
    """A body of the declared length arrives whole."""
    async with client(answering(b"fo", b"ur", content_length="4")) as http:
        assert (await http.get(URL)).content == b"four"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
async def test_answers_without_a_body(method: str, status: int) -> None:
    """To HEAD, and with 204 and 304, a server sends no body, whatever the app says or declares."""
    async with client(answering(b"dropped", status=status, content_length="99")) as http:
        response = await http.request(method, URL)
    assert (response.status_code, response.content) == (status, b"")


async def test_an_app_that_never_ends_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that doesn't react to a disconnect is noted as staying, then cancelled, after the deadline."""
    monkeypatch.setattr(asgi, "DISCONNECT_DEADLINE", 0.05)
    ended: list[str] = []
    noted: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"first", more=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    transport = StreamingASGITransport(app, stays=lambda: noted.append(f"stays, {len(ended)} ended"))
    async with httpx.AsyncClient(transport=transport) as http, http.stream("GET", URL) as response:
        await anext(response.aiter_raw())
    assert ended == ["cancelled"]
    assert noted == ["stays, 0 ended"]


async def test_sending_after_a_disconnect_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind uvicorn, sending to a client that is gone is no error: only listening tells the app."""
    monkeypatch.setattr(asgi, "DISCONNECT_DEADLINE", 0.05)
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await start(send)
        while True:
            await body(send, b"more", more=True)
            sent += 1
            await asyncio.sleep(0)

    async with client(app) as http, http.stream("GET", URL) as response:
        await anext(response.aiter_raw())
        before = sent
    assert sent > before + 5


async def test_giving_up_while_closing_still_ends_the_app() -> None:
    """A client that is cancelled while it waits for the app to end leaves no app behind."""
    ended = asyncio.Event()
    closing = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"first", more=True)
        try:
            await receive()
            await receive()
            closing.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def read_one() -> None:
        async with client(app) as http, http.stream("GET", URL) as response:
            await anext(response.aiter_raw())

    reading = asyncio.create_task(read_one())
    async with asyncio.timeout(3):  # less than the deadline that the app would have
        await closing.wait()
        reading.cancel()
        await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_the_app_finishes_its_own_work_after_the_answer() -> None:
    """Reading the last byte waits for what the app does afterwards, such as background tasks."""
    finished = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal finished
        await start(send)
        await body(send, b"all")
        await asyncio.sleep(0.01)
        finished = True

    async with client(app) as http:
        await http.get(URL)
    assert finished


@pytest.mark.parametrize("stays", [False, True])
async def test_failing_after_the_answer_is_the_apps_own_affair(
    stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception after the last byte changes nothing for the client and is not reported as forgotten."""
    monkeypatch.setattr(asgi, "DISCONNECT_DEADLINE", 0.05)
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await start(send)
        await body(send, b"all")
        try:
            if stays:
                await asyncio.Event().wait()
        finally:
            raise LookupError("afterwards")

    async with client(app) as http:
        assert (await http.get(URL)).content == b"all"
    del http
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_exchanges_do_not_disturb_each_other() -> None:
    """Two requests at once each get their own answer."""
    both = asyncio.Barrier(2)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await both.wait()
        await start(send)
        await body(send, scope["path"].encode())

    async with client(app) as http:
        asked: list[Awaitable[httpx.Response]] = [http.get(f"http://app.invalid/{n}") for n in "ab"]
        answers = await asyncio.gather(*asked)
    assert [answer.text for answer in answers] == ["/a", "/b"]

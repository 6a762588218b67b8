from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from proxies.interceptor.app import create_app
from tests.proxies.interceptor.fakes import OK, Received, Upstream, intercepted, raw

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WAIT = 10


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().serving() as serving:
        yield serving


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[httpx.AsyncClient]:
    async with intercepted(upstream.url) as made:
        yield made


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event_of(text: str) -> bytes:
    return f"data: {text}\n\n".encode()


async def test_adds_the_projects_user(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A request that names no user travels as the project's, with its method, body and credentials."""
    answer = await client.put("/v1/things", content=b"{}", headers={"authorization": "Bearer sk-of-a-client"})
    assert (answer.status_code, answer.json()) == (200, {})
    [request] = upstream.received
    assert request.line == "PUT /v1/things HTTP/1.1"
    assert request.body == b"{}"
    assert request.all("x-memory-user-id") == ["shop"]
    assert request.all("authorization") == ["Bearer sk-of-a-client"]
    assert request.all("host") == [upstream.url.removeprefix("http://")]


async def test_adds_nothing_else(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """No user agent, accept or cookie is made up: the memory proxy tells clients apart by such headers."""
    await client.get("/health")
    assert {name.lower() for name, _ in upstream.received[0].headers} == {"host", "x-memory-user-id"}


@pytest.mark.parametrize("name", ["X-Memory-User-Id", "x-sm-user-id"])
async def test_a_user_that_the_client_names_wins(
    client: httpx.AsyncClient, upstream: Upstream, name: str
) -> None:
    """Both headers that the memory proxy reads a user from are left alone, and none is added."""
    await client.get("/v1/models", headers={name: "somebody"})
    request = upstream.received[0]
    assert request.all(name.lower()) == ["somebody"]
    assert len(request.all("x-memory-user-id") + request.all("x-sm-user-id")) == 1


async def test_a_blank_user_counts_as_none(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """An empty header gives way to the project's user, as the memory proxy would ignore it."""
    await client.get("/v1/models", headers={"x-memory-user-id": ""})
    assert upstream.received[0].all("x-memory-user-id") == ["shop"]


async def test_the_header_may_have_another_name(upstream: Upstream) -> None:
    """The name follows the memory proxy's custom_header."""
    async with intercepted(upstream.url, user_header="X-Team-User") as client:
        await client.get("/v1/models", headers={"x-memory-user-id": "no-header-here"})
    assert upstream.received[0].all("x-team-user") == ["shop"]


@pytest.mark.parametrize(
    "target", ["/a%2Fb/../c//d", "/v1/x?q=a+b&q=%20&empty=&|{}", "/?", "/%E2%82%AC?a=?b"]
)
async def test_path_and_query_travel_as_written(
    client: httpx.AsyncClient, upstream: Upstream, target: str
) -> None:
    """Nothing is decoded, sorted, normalised or encoded again."""
    await raw(client, f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    assert upstream.received[0].target == target.removesuffix("?")


async def test_a_target_that_is_a_whole_url(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Its path is what the memory proxy is asked for."""
    await raw(
        client, b"GET http://there.example/v1/models?a=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    assert upstream.received[0].target == "/v1/models?a=1"


async def test_the_upstream_may_have_a_path(upstream: Upstream) -> None:
    """A base URL with a path goes before the client's path."""
    async with intercepted(f"{upstream.url}/memory/") as client:
        await client.get("/v1/models?a=1")
    assert upstream.received[0].target == "/memory/v1/models?a=1"


async def test_a_body_travels_in_its_pieces(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """The first piece of an upload reaches the memory proxy before the client sends the second."""
    arrived = asyncio.Event()

    async def answer(request: Received) -> None:
        assert await request.read_chunk() == b"first"
        arrived.set()
        await request.read_body()
        await request.send(OK)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(arrived.wait(), WAIT)
        yield b"second"

    upstream.answer = answer
    assert (await client.post("/v1/files", content=pieces())).status_code == 200
    assert upstream.received[0].body == b"firstsecond"


async def test_a_length_travels(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A body whose length is known isn't turned into chunks; one without a body gets none."""
    await client.post("/v1/chat/completions", content=b"x" * 300_000)
    await client.post("/v1/nothing")
    first, second = upstream.received
    assert (first.all("content-length"), first.all("transfer-encoding")) == (["300000"], [])
    assert first.body == b"x" * 300_000
    assert (second.all("content-length"), second.all("transfer-encoding")) == (["0"], [])


async def test_expect_is_answered_here(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A client that waits for "100 Continue" gets it, and the memory proxy isn't asked again."""
    said = await raw(
        client,
        b"POST /v1/files HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"
        b"connection: close\r\n\r\n{}",
    )
    assert said.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200 OK" in said
    assert upstream.received[0].all("expect") == []


async def test_events_come_as_they_are_sent(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Each event reaches the client before the memory proxy sends the next one."""
    seen = asyncio.Semaphore(0)

    async def answer(request: Received) -> None:
        await request.read_body()
        await request.send(SSE)
        for n in range(3):
            await request.send(chunk(event_of(str(n))))
            await asyncio.wait_for(seen.acquire(), WAIT)
        await request.send(b"0\r\n\r\n")

    upstream.answer = answer
    got = []
    async with client.stream("POST", "/v1/chat/completions", content=b"{}") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        async for piece in stream.aiter_raw():
            got.append(piece)
            seen.release()
    assert got == [event_of("0"), event_of("1"), event_of("2")]


async def test_compressed_answers_stay_compressed(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """The bytes, their encoding and their length are the memory proxy's."""
    packed = gzip.compress(b'{"packed": true}')

    async def answer(request: Received) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
        await request.send(head % len(packed), packed)

    upstream.answer = answer
    async with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as stream:
        assert b"".join([piece async for piece in stream.aiter_raw()]) == packed
        assert stream.headers["content-length"] == str(len(packed))
        assert stream.headers["content-encoding"] == "gzip"
    assert upstream.received[0].all("accept-encoding") == ["gzip"]


async def test_headers_of_the_answer_stay(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Repeated headers stay apart, only those of the connection go, and nothing is added."""

    async def answer(request: Received) -> None:
        await request.send(
            b"HTTP/1.1 429 Too Many Requests\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2\r\nx-memory: hit\r\n"
            b"date: Sat, 01 Jan 2000 00:00:00 GMT\r\nserver: theirs\r\nconnection: keep-alive, x-mine\r\n"
            b"keep-alive: timeout=3\r\nx-mine: 1\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n"
        )

    upstream.answer = answer
    answered = await client.get("/")
    assert answered.status_code == 429
    assert answered.headers.multi_items() == [
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("x-memory", "hit"),
        ("date", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("server", "theirs"),
        ("retry-after", "7"),
        ("content-length", "0"),
    ]


async def test_headers_of_the_connection_do_not_travel(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """Hop-by-hop headers and those that `Connection` names end here; repeated others stay apart."""
    await client.get(
        "/",
        headers=[
            ("connection", "keep-alive, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eDp5"),
            ("accept", "a/b"),
            ("accept", "c/d"),
        ],
    )
    [request] = upstream.received
    assert {name.lower() for name, _ in request.headers} == {"host", "accept", "x-memory-user-id"}
    assert request.all("accept") == ["a/b", "c/d"]


@pytest.mark.parametrize("name", ["X-Memory-User-Id", "X-Sm-User-Id"])
async def test_the_connection_does_not_take_the_user_away(
    client: httpx.AsyncClient, upstream: Upstream, name: str
) -> None:
    """A client that names the user's header in `Connection` still counts as the user that it names."""
    await client.get("/v1/models", headers={name: "somebody", "connection": f"keep-alive, {name}"})
    [request] = upstream.received
    assert request.all(name.lower()) == ["somebody"]
    assert len(request.all("x-memory-user-id") + request.all("x-sm-user-id")) == 1


async def test_a_body_that_is_framed_twice_is_refused(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """As the proxies refuse it: 400 with a sentence, and the memory proxy hears nothing."""
    answer = await raw(
        client,
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
        b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The request has both 'content-length' and 'transfer-encoding'." in answer
    assert upstream.received == []


async def test_cookies_are_nobodys(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A cookie that one answer sets isn't sent with the next request, which may be another client's."""

    async def answer(request: Received) -> None:
        await request.send(OK.replace(b"content-type", b"set-cookie: a=1\r\ncontent-type"))

    upstream.answer = answer
    await client.get("/")
    client.cookies.clear()
    await client.get("/")
    assert [request.all("cookie") for request in upstream.received] == [[], []]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_answers_without_a_body(
    client: httpx.AsyncClient, upstream: Upstream, method: str, status: int
) -> None:
    """They end at once, and the connection can be used again."""

    async def answer(request: Received) -> None:
        length = b"content-length: 9\r\n" if method == "HEAD" else b""
        await request.send(b"HTTP/1.1 %d Fine\r\n%setag: x\r\n\r\n" % (status, length))

    upstream.answer = answer
    for _ in range(2):
        answered = await client.request(method, "/")
        assert (answered.status_code, answered.content, answered.headers["etag"]) == (status, b"", "x")
        assert answered.headers.get("content-length") == ("9" if method == "HEAD" else None)
    assert len({id(request.writer) for request in upstream.received}) == 1


async def test_redirects_are_the_clients(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """They are handed back, not followed."""

    async def answer(request: Received) -> None:
        await request.send(b"HTTP/1.1 307 Go\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")

    upstream.answer = answer
    answered = await client.get("/")
    assert (answered.status_code, answered.headers["location"]) == (307, "/elsewhere")
    assert len(upstream.received) == 1


async def test_many_at_once(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """150 answers are waited for at the same time; nobody queues for a connection."""
    all_there = asyncio.Event()

    async def answer(request: Received) -> None:
        await request.read_body()
        if len(upstream.received) == 150:
            all_there.set()
        await all_there.wait()
        body = request.body
        await request.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    upstream.answer = answer
    async with httpx.AsyncClient(
        base_url=client.base_url, timeout=30, limits=httpx.Limits(max_connections=None)
    ) as many:
        answers = await asyncio.gather(*(many.post("/", content=str(n)) for n in range(150)))
    assert [answer.text for answer in answers] == [str(n) for n in range(150)]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_memory_proxy_that_is_down(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """502 in the envelope of the route, with the address that was tried; the interceptor goes on."""
    async with Upstream().serving() as upstream:
        url = upstream.url
    async with intercepted(url) as client:
        for _ in range(2):
            answered = await client.post(path, content=b"{}")
            assert answered.status_code == 502
            assert "date" in answered.headers
            message = f"The memory proxy at {url} could not be reached; is it running?"
            if path == "/v1/messages":
                wanted = {"type": "error", "error": {"type": "api_error", "message": message}}
            else:
                error = {"message": message, "type": "api_error", "param": None, "code": "bad_gateway"}
                wanted = {"error": error}
            assert answered.json() == wanted
    assert f"POST {path}: the memory proxy at {url} could not be reached" in caplog.text


async def test_a_connection_closed_without_an_answer(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """502, and the next request is answered."""

    async def answer(request: Received) -> None:
        await request.read_body()
        request.writer.close()

    answer_ok, upstream.answer = upstream.answer, answer
    answered = await client.post("/v1/chat/completions", content=b"{}")
    assert answered.status_code == 502
    assert "closed the connection without an answer" in answered.json()["error"]["message"]
    upstream.answer = answer_ok
    assert (await client.post("/v1/chat/completions", content=b"{}")).status_code == 200


@pytest.mark.parametrize("head", [SSE, b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"])
async def test_an_answer_that_breaks_off(
    client: httpx.AsyncClient, upstream: Upstream, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Half an answer never looks like a whole one; the log says who broke off."""

    async def answer(request: Received) -> None:
        await request.read_body()
        await request.send(head, chunk(event_of("first")))
        request.writer.close()

    upstream.answer = answer
    with caplog.at_level(logging.WARNING):
        async with client.stream("POST", "/v1/chat/completions", content=b"{}") as stream:
            with pytest.raises(httpx.RemoteProtocolError):
                await stream.aread()
    assert "the memory proxy broke off in the middle of its answer" in caplog.text


async def test_a_client_that_leaves_before_the_answer(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """The memory proxy sees the connection close while it still works."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def answer(request: Received) -> None:
        await request.read_body()
        asked.set()
        await request.gone()
        gone.set()

    upstream.answer = answer
    waiting = asyncio.create_task(client.post("/v1/chat/completions", content=b"{}"))
    await asyncio.wait_for(asked.wait(), WAIT)
    waiting.cancel()
    await asyncio.wait_for(gone.wait(), WAIT)


async def test_a_client_that_leaves_in_the_middle_of_a_stream(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """The memory proxy sees the connection close, though it sends nothing at that moment."""
    gone = asyncio.Event()

    async def answer(request: Received) -> None:
        await request.read_body()
        await request.send(SSE, chunk(event_of("first")))
        await request.gone()
        gone.set()

    upstream.answer = answer
    async with client.stream("POST", "/v1/chat/completions", content=b"{}") as stream:
        assert await anext(stream.aiter_raw()) == event_of("first")
    await asyncio.wait_for(gone.wait(), WAIT)


@pytest.mark.parametrize(
    "half", [b"content-length: 100\r\n\r\nhalf", b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
async def test_a_client_that_leaves_in_the_middle_of_its_request(
    client: httpx.AsyncClient, upstream: Upstream, half: bytes
) -> None:
    """The memory proxy never takes half a body for a whole one: its connection is closed."""
    cut = asyncio.Event()

    async def answer(request: Received) -> None:
        with pytest.raises((asyncio.IncompleteReadError, ValueError)):  # ValueError: no size of a next chunk
            await request.read_body()
        cut.set()

    upstream.answer = answer
    _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(b"POST /v1/files HTTP/1.1\r\nhost: x\r\n" + half)
    await writer.drain()
    async with asyncio.timeout(WAIT):
        while not upstream.received:
            await asyncio.sleep(0.01)
        writer.close()
        await cut.wait()


async def test_an_answer_before_the_body_is_whole(client: httpx.AsyncClient, upstream: Upstream) -> None:
    """A memory proxy that refuses a body without reading it is heard."""
    refused = b"HTTP/1.1 413 No\r\nconnection: close\r\ncontent-length: 7\r\n\r\nrefused"

    async def answer(request: Received) -> None:
        await request.send(refused)
        request.writer.write_eof()
        await request.gone()  # as servers do, so that the answer isn't taken back by a reset
        request.writer.close()

    upstream.answer = answer
    answered = await client.post("/v1/files", content=b"x" * 3_000_000)
    assert (answered.status_code, answered.text) == (413, "refused")


async def test_a_slow_reader_slows_the_memory_proxy_down(
    client: httpx.AsyncClient, upstream: Upstream
) -> None:
    """An answer that nobody reads isn't collected here."""
    piece = chunk(b"x" * 65536)
    sent = 0

    async def answer(request: Received) -> None:
        nonlocal sent
        await request.send(SSE)
        for _ in range(1600):
            await request.send(piece)
            sent += 1
        await request.send(b"0\r\n\r\n")

    upstream.answer = answer
    async with client.stream("GET", "/") as stream:
        before = 0
        while sent != before or not sent:  # until it stands still
            before = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 800
        total = 0
        async for got in stream.aiter_raw():
            total += len(got)
    assert total == 1600 * 65536


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://x", "http://", "http://[", "http://u:hunter2@x", "http://x?a=1", "http://x:0"],
)
def test_a_wrong_upstream_is_refused(url: str) -> None:
    """`ValueError` for what is no base URL; a password in it isn't repeated."""
    with pytest.raises(ValueError, match="upstream") as caught:
        create_app(url, "shop")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("user_id", "header", "told"),
    [
        ("", "x-memory-user-id", "the user id: must be printable ASCII"),
        ("a\r\nb: c", "x-memory-user-id", "the user id: must be printable ASCII"),
        ("Жук", "x-memory-user-id", "the user id: must be printable ASCII"),
        ("shop", "x memory", "the user header: is no name of a header"),
        ("shop", "authorization", "the user header: authorization has a meaning of its own"),
    ],
)
def test_a_wrong_user_is_refused(user_id: str, header: str, told: str) -> None:
    """`ValueError` that names what is wrong, before anything is served."""
    with pytest.raises(ValueError, match=told):
        create_app("http://127.0.0.1:8080", user_id, user_header=header)

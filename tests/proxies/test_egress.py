"""What guarded clients follow, and how much they take."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from proxies.egress import AnswerLimits, Guard, add_hooks, noting_calls
from proxies.limited_body import TooLarge
from tests.proxies.bodies import Body, read

Answer = Callable[[httpx.Request], httpx.Response]
SMALL = AnswerLimits(answer=1000, frame=100, ratio=10)
ASKED = "http://provider.test:8080/v1/chat"


def guarded(
    answer: Answer, limits: AnswerLimits | None = None
) -> tuple[httpx.AsyncClient, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    client = httpx.AsyncClient(
        transport=httpx.MockTransport(play), follow_redirects=True, event_hooks=Guard(limits).hooks()
    )
    return client, seen


def redirecting(status: int, location: str, times: int = 1) -> Answer:
    left = iter(range(times))

    def answer(request: httpx.Request) -> httpx.Response:
        if next(left, None) is None:
            return httpx.Response(200, json={"ok": True})
        return httpx.Response(status, headers={"location": location}, content=b"x" * 10_000)

    return answer


async def post(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(ASKED, json={"q": 1}, headers={"authorization": "Bearer k", "cookie": "a=b"})


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("location", ["/elsewhere", "http://provider.test:8080/elsewhere", "?again"])
async def test_same_origin_is_followed(status: int, location: str) -> None:
    """The method, the body and the key go along to where the provider says."""
    client, seen = guarded(redirecting(status, location))
    assert (await post(client)).json() == {"ok": True}
    [first, second] = seen
    assert (second.method, second.content) == ("POST", first.content)
    assert second.headers["authorization"] == "Bearer k"


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "http://other.test:8080/",
        "http://provider.test/",
        "https://provider.test:8080/",
        "//other.test:8080/",
        "http:/no-host",
        "http://user:word@provider.test:8080/",
        "http://[",
        "",
    ],
)
async def test_another_origin_is_not(status: int, location: str) -> None:
    """Nothing is sent to what isn't surely the same scheme, host and port; the client is told why."""
    client, seen = guarded(redirecting(status, location))
    answer = await post(client)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"].startswith(f"The provider answered {status} ")
    assert "other.test" not in answer.text
    assert len(seen) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 399])
async def test_other_redirects_are_not_followed(status: int) -> None:
    """What would change the method, or means something else, is a failure of the provider's."""
    client, seen = guarded(redirecting(status, "/here"))
    assert (await post(client)).status_code == 502
    assert len(seen) == 1


async def test_no_more_than_three() -> None:
    """A fourth redirect in a row is one too many."""
    for times, status in ((3, 200), (4, 502)):
        client, seen = guarded(redirecting(307, "/again", times))
        assert (await post(client)).status_code == status
        assert len(seen) == 4


async def test_a_body_that_cannot_be_sent_twice() -> None:
    """An upload that comes in pieces isn't begun anew."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"once"

    class Unread(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(307, headers={"location": "/here"}, stream=Body())

    async with httpx.AsyncClient(
        transport=Unread(), follow_redirects=True, event_hooks=Guard().hooks()
    ) as client:
        assert (await client.post(ASKED, content=pieces())).status_code == 502


async def test_what_carries_nothing_may_go_anywhere() -> None:
    """A picture that a message names is fetched wherever it is, as long as no key is shown."""
    client, _ = guarded(redirecting(302, "http://other.test/"))
    assert (await client.get(ASKED)).status_code == 200
    client, seen = guarded(redirecting(302, "http://other.test/"))
    assert (await client.get(ASKED, headers={"x-api-key": "k"})).status_code == 502
    assert len(seen) == 1


def test_sync_clients_too() -> None:
    """LiteLLM's other kind of client follows no further."""
    with httpx.Client(
        transport=httpx.MockTransport(redirecting(302, "http://other.test/")), follow_redirects=True
    ) as client:
        add_hooks(client, Guard().sync_hooks())
        assert client.post(ASKED).status_code == 502


def packed(how: str, text: bytes) -> bytes:
    raw = zlib.compressobj(wbits=-15)
    return {
        "gzip": lambda: gzip.compress(text),
        "deflate": lambda: zlib.compress(text),
        "raw": lambda: raw.compress(text) + raw.flush(),
        "identity": lambda: text,
    }[how]()


@pytest.mark.parametrize("how", ["gzip", "deflate", "raw", "identity"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
async def test_what_fits_arrives(how: str, kind: str) -> None:
    """An answer within the limits is whole and unpacked, whatever it was packed with, and however it was cut."""
    text = json.dumps({"said": "ä" * 5}).encode() + b"\n\n"
    sent = packed(how, text)
    headers = {"content-type": kind, "content-encoding": "deflate" if how == "raw" else how}
    body = Body(*(sent[i : i + 3] for i in range(0, len(sent), 3)))
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=body), SMALL)
    answer = await post(client)
    assert answer.content == text
    assert body.closed


@pytest.mark.parametrize("how", ["gzip", "identity"])
async def test_a_plain_answer_that_is_too_large(how: str) -> None:
    """It is a 502 that names the limit, and no more of it is read."""
    pieces = [packed(how, b'{"a": "' + b"x" * 2000)] if how == "gzip" else [b"x" * 400] * 50
    body = Body(*pieces)
    headers = {"content-type": "application/json", "content-encoding": how}
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=body), SMALL)
    answer = await post(client)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "The provider's answer is larger than 1000 bytes."
    assert body.closed


async def test_a_text_that_is_too_large() -> None:
    """What isn't JSON breaks off, for whoever reads it."""
    client, _ = guarded(lambda r: httpx.Response(200, stream=Body(b"x" * 2000)), SMALL)
    with pytest.raises(TooLarge, match="larger than 1000 bytes"):
        await post(client)


async def test_a_file_may_be_large() -> None:
    """What is fetched is handed on in pieces, so that its size is nobody's trouble."""
    client, _ = guarded(lambda r: httpx.Response(200, json={"x": "x" * 2000}), SMALL)
    assert (await client.get(ASKED)).status_code == 200


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r\r"])
async def test_frames(end: str) -> None:
    """A stream may go on for ever, but a frame of it is limited, however both are cut."""
    frame = ("data: " + "x" * 80 + end).encode()

    async def sent(whole: bytes, size: int) -> bytes:
        body = Body(*(whole[i : i + size] for i in range(0, len(whole), size)))
        headers = {"content-type": "text/event-stream; charset=utf-8"}
        client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=body), SMALL)
        return (await post(client)).content

    for size in (1, 3, 7, 50, 90):
        assert await sent(frame * 30, size) == frame * 30
        with pytest.raises(TooLarge, match="A frame"):
            await sent(frame * 3 + b"data: " + b"x" * 400, size)


async def test_a_bomb() -> None:
    """What unpacks to far more than it is stops near the first megabyte, in a plain answer and in a stream."""
    limits = AnswerLimits(answer=10**9, frame=10**9, ratio=100)
    bomb = gzip.compress(b"x" * 50_000_000)
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, content=bomb), limits)
    answer = await post(client)
    assert "compressed more than 100 times" in answer.json()["error"]["message"]
    headers["content-type"] = "text/event-stream"
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=Body(bomb)), limits)
    taken: list[bytes] = []
    async with client.stream("POST", ASKED) as streamed:
        with pytest.raises(TooLarge):
            await read(streamed.aiter_bytes(), taken)
    assert sum(map(len, taken)) < 10 * 1024 * 1024


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
async def test_packed_otherwise(encoding: str) -> None:
    """Nothing but gzip and deflate is asked for, and nothing else is unpacked."""
    headers = {"content-encoding": encoding}
    client, seen = guarded(lambda r: httpx.Response(200, headers=headers, stream=Body(b"x")))
    assert (await post(client)).status_code == 502
    assert seen[0].headers["accept-encoding"] == "gzip, deflate"


async def test_what_is_no_gzip() -> None:
    """An answer that can't be unpacked is one that can't be read."""
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=Body(b"no gzip")))
    with pytest.raises(httpx.DecodingError):
        await post(client)


async def test_a_stream_by_another_name_is_not_waited_for() -> None:
    """Where a stream was asked for, the first piece is there before the second, whatever the type says."""
    body = Body(b"data: 1\n\n", RuntimeError("not yet"))
    headers = {"content-type": "application/json"}
    client, _ = guarded(lambda r: httpx.Response(200, headers=headers, stream=body))
    async with client.stream("POST", ASKED, json={"stream": True}) as answer:
        assert await anext(answer.aiter_bytes()) == b"data: 1\n\n"


async def test_calls_are_noted() -> None:
    """Who asks hears of the calls that were made meanwhile, and of no others."""
    client, _ = guarded(lambda r: httpx.Response(200, json={}))
    with noting_calls() as made:
        assert made == []
        await post(client)
    await post(client)
    assert made == ["POST"]


def test_hooks_are_added_to_those_that_are_there() -> None:
    """LiteLLM's own hooks stay."""
    own: Any = object()
    client = httpx.AsyncClient()
    client.event_hooks = {"request": [], "response": [own]}
    add_hooks(client, Guard().hooks())
    assert [len(hooks) for hooks in client.event_hooks.values()] == [1, 2]
    assert client.event_hooks["response"][0] is own

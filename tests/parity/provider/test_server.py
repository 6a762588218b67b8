"""The stub provider against real clients: httpx, the official openai client, and bare sockets."""

import asyncio
import contextlib
import gzip
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.provider.server import ProviderControl, StubProvider, base_url, refused_url, serve_in_thread
from tests import samples

TARGET = "binary"
ID = "errors.status[429]"

CHUNKS = [
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
    }
    for word in ("Grüße", " aus", " der", " 🌍", "!")
]
COMPLETION = samples.completion("Hi")


def scenario(*replies: dict[str, Any], id: str = ID) -> Scenario:
    return Scenario.model_validate(
        {
            "id": id,
            "title": "for a test",
            "provider": list(replies),
            "client": [{"json": {"model": "$model"}}],
            "expect": {"responses": [{}]},
        }
    )


async def test_memories_are_a_side_of_their_own() -> None:
    """Lookups of memories get their own replies in order, and aren't the provider's calls."""
    one = scenario({"json": {"said": "by the provider"}}).model_copy(
        update={"memory": [ProviderReply(json={"n": 1}), ProviderReply(status=404)]}
    )
    other = scenario({"json": {}}, id="a.b")
    async with StubProvider([one, other]) as provider, ProviderControl(provider.url) as control:
        async with httpx.AsyncClient(trust_env=False) as client:
            at = base_url(provider.url, TARGET, ID)
            answers = [await client.post(f"{at}/memory/v4/profile", json={"q": n}) for n in range(2)]
            assert [(a.status_code, a.text) for a in answers] == [(200, '{"n":1}'), (404, "")]
            assert (await client.post(f"{at}/v1/x", json={})).json() == {"said": "by the provider"}
            await client.post(f"{base_url(provider.url, TARGET, 'a.b')}/memory/v4/profile", json={})
        state = await control.state(TARGET, ID)
        assert [(call.route, call.body) for call in state.memory] == [
            ("POST /v4/profile", {"q": 0}),
            ("POST /v4/profile", {"q": 1}),
        ]
        assert [call.route for call in state.calls] == ["POST /v1/x"]
        assert state.faults == []
        assert len((await control.state(TARGET, "a.b")).faults) == 1


def stream(*tail: dict[str, Any], **reply: Any) -> dict[str, Any]:
    return {"sse": [*({"data": chunk} for chunk in CHUNKS), *tail], **reply}


def words(text: str) -> list[str]:
    return [
        json.loads(line.removeprefix("data: "))["choices"][0]["delta"]["content"]
        for line in text.splitlines()
        if line.startswith("data: {")
    ]


class Bench:
    """A served scenario with what is needed to call it and to ask about it."""

    def __init__(self, provider: StubProvider, client: httpx.AsyncClient, control: ProviderControl) -> None:
        self.provider, self.client, self.control = provider, client, control

    @property
    def base(self) -> str:
        return base_url(self.provider.url, TARGET, ID)

    async def post(self, path: str = "/v1/chat/completions", **request: Any) -> httpx.Response:
        return await self.client.post(self.base + path, **request)

    def streaming(self) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
        return self.client.stream("POST", f"{self.base}/v1/chat/completions")

    async def read_lines(self, into: list[str]) -> None:
        async with self.streaming() as response:
            async for line in response.aiter_lines():
                into.append(line)

    async def state(self) -> Any:
        return await self.control.state(TARGET, ID)

    async def raw(self, request: bytes) -> bytes:
        host, port = self.provider.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        answer = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        return answer

    async def raw_post(self) -> bytes:
        path = self.base.removeprefix(self.provider.url).encode() + b"/v1/chat/completions"
        return await self.raw(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n" % path)


Play = Callable[..., contextlib.AbstractAsyncContextManager[Bench]]


@pytest.fixture
def play() -> Play:
    """Serve one scenario that replies so."""

    @contextlib.asynccontextmanager
    async def playing(*replies: dict[str, Any], lockstep_deadline: float = 5) -> AsyncIterator[Bench]:
        async with (
            StubProvider([scenario(*replies)], lockstep_deadline=lockstep_deadline) as provider,
            httpx.AsyncClient(trust_env=False, timeout=10) as client,
            ProviderControl(provider.url) as control,
        ):
            yield Bench(provider, client, control)

    return playing


async def test_a_json_reply_arrives_with_status_headers_and_body_as_the_scenario_says(play: Play) -> None:
    """Status, headers and JSON body are what the scenario gives."""
    reply = {
        "status": 429,
        "headers": {"Retry-After": "7", "X-A": "b"},
        "json": {"error": {"message": "slow ü"}},
    }
    async with play(reply) as bench:
        response = await bench.post()
    assert response.status_code == 429
    assert response.headers["retry-after"] == "7"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["connection"] == "close"
    assert response.json() == {"error": {"message": "slow ü"}}


async def test_header_names_and_values_are_sent_exactly(play: Play) -> None:
    """A header given by the scenario keeps its spelling and replaces the stub's own."""
    reply = {"headers": {"Content-TYPE": "application/problem+json", "Connection": "keep-alive"}, "json": {}}
    async with play(reply) as bench:
        head = (await bench.raw_post()).partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert head == [
        b"HTTP/1.1 200 OK",
        b"Content-TYPE: application/problem+json",
        b"Connection: keep-alive",
        b"content-length: 2",
    ]


async def test_text_is_sent_as_it_is(play: Play) -> None:
    """A text body arrives unchanged, typed by the scenario."""
    reply = {"status": 502, "headers": {"content-type": "text/html"}, "text": "<h1>Bad Gateway</h1>"}
    async with play(reply) as bench:
        response = await bench.post()
    assert (response.status_code, response.text) == (502, "<h1>Bad Gateway</h1>")
    assert response.headers["content-type"] == "text/html"


@pytest.mark.parametrize("split", [None, 1, 7])
async def test_a_gzip_body_arrives_whole_in_pieces_of_any_size(play: Play, split: int | None) -> None:
    """Encoding and splitting change the bytes on the wire, never the content."""
    async with play({"json": COMPLETION, "encoding": "gzip", "split": split}) as bench:
        response = await bench.post()
        raw = (await bench.raw_post()).partition(b"\r\n\r\n")[2]
    assert response.headers["content-encoding"] == "gzip"
    assert response.json() == COMPLETION
    assert json.loads(gzip.decompress(raw)) == COMPLETION


async def test_a_plain_body_can_be_chunked(play: Play) -> None:
    """A scenario that asks for chunks gets them, one a piece, and no content-length."""
    reply = {"text": "Gr\u00fc\u00dfe", "headers": {"transfer-encoding": "chunked"}, "split": 3}
    async with play(reply) as bench:
        response = await bench.post()
        head, _, body = (await bench.raw_post()).partition(b"\r\n\r\n")
    assert response.text == "Gr\u00fc\u00dfe"
    assert b"content-length" not in head
    assert body == b"3\r\nGr\xc3\r\n3\r\n\xbc\xc3\x9f\r\n1\r\ne\r\n0\r\n\r\n"


async def test_a_status_without_a_name_can_be_sent(play: Play) -> None:
    """Statuses that no standard names, such as Anthropic's 529, arrive as numbers."""
    async with play({"status": 529, "json": {}}) as bench:
        assert (await bench.post()).status_code == 529


async def test_a_caller_that_connects_and_says_nothing_is_no_call(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection closed before a request leaves no trace."""
    async with play({"json": {}}) as bench:
        host, port = bench.provider.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
        state = await bench.state()
    assert not state.calls
    assert not caplog.records


async def test_a_reply_without_a_body_is_empty(play: Play) -> None:
    """A bare status has no content and no content type."""
    async with play({"status": 500}) as bench:
        response = await bench.post()
    assert (response.status_code, response.content) == (500, b"")
    assert "content-type" not in response.headers


async def test_a_status_that_can_have_no_body_is_a_fault_when_the_scenario_gives_one(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    """What HTTP cannot carry surfaces in the control answer and in the log."""
    async with play({"status": 204, "json": {}}) as bench:
        with caplog.at_level(logging.ERROR), pytest.raises(httpx.TransportError):
            await bench.post()
        state = await bench.state()
    assert len(state.faults) == 1
    assert "status 204 has no body" in state.faults[0]
    assert "could not be played" in caplog.text
    assert not state.calls[0].completed


async def test_replies_come_in_order_and_the_last_repeats(play: Play) -> None:
    """The i-th call gets the i-th reply, calls beyond the last get the last."""
    async with play({"status": 500}, {"status": 429}, {"json": {}}) as bench:
        seen = [(await bench.post()).status_code for _ in range(4)]
        await bench.control.forget(TARGET, ID)
        again = (await bench.post()).status_code
        calls = (await bench.state()).calls
    assert seen == [500, 429, 200, 200]
    assert again == 500
    assert len(calls) == 1


async def test_targets_do_not_share_calls(play: Play) -> None:
    """Each target has its own place in the replies of a scenario."""
    async with play({"status": 500}, {"json": {}}) as bench:
        other = base_url(bench.provider.url, "sdk", ID)
        seen = [
            (await bench.client.post(f"{base}/v1/x")).status_code for base in (bench.base, other, bench.base)
        ]
        calls = (await bench.control.state("sdk", ID)).calls
    assert seen == [500, 500, 200]
    assert [call.route for call in calls] == ["POST /v1/x"]


async def test_a_call_that_no_reply_is_given_for_is_refused_and_counted(play: Play) -> None:
    """A scenario without replies answers 500 in a sentence, and the call shows."""
    async with play() as bench:
        response = await bench.post()
        state = await bench.state()
    assert response.status_code == 500
    assert "expects no call" in response.json()["error"]["message"]
    assert len(state.calls) == 1


async def test_an_unknown_scenario_is_named(play: Play) -> None:
    """A path to no scenario is a 404 that names it, for calls and for control."""
    async with play() as bench:
        response = await bench.client.post(base_url(bench.provider.url, TARGET, "no.such[1]") + "/v1/x")
        with pytest.raises(httpx.HTTPStatusError, match=r"no\.such\[1\]"):
            await bench.control.state(TARGET, "no.such[1]")
    assert response.status_code == 404
    assert "/no.such[1]/v1/x names no scenario" in response.json()["error"]["message"]


async def test_a_call_is_remembered_with_route_headers_and_body(play: Play) -> None:
    """Everything that was received can be read back, from any process."""
    async with play({"json": {}}) as bench:
        await bench.post("/v1/files?purpose=batch", json={"model": "m", "x": ["ü", 1]}, headers={"X-A": "b"})
        await bench.post(content=b"not json \xff")
        await bench.client.get(f"{bench.base}/v1/models")
        first, second, third = (await bench.state()).calls
    assert first.route == "POST /v1/files?purpose=batch"
    assert first.body == {"model": "m", "x": ["ü", 1]}
    assert first.headers["x-a"] == "b"
    assert first.completed
    assert not first.cancelled
    assert first.upstream().model == "m"
    assert second.body == "not json \\xff"
    assert (third.route, third.body) == ("GET /v1/models", None)
    assert third.upstream().model is None


async def test_a_remembered_call_prints_no_header() -> None:
    """The printed form of a call holds no credential."""
    async with StubProvider([scenario({"json": {}})]) as provider, ProviderControl(provider.url) as control:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(
                base_url(provider.url, TARGET, ID) + "/v1/x", headers={"x-api-key": "hush-hush"}
            )
        call = (await control.state(TARGET, ID)).calls[0]
    assert call.headers["x-api-key"] == "hush-hush"
    assert "hush-hush" not in repr(call)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("split", [None, 1, 3])
@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_a_stream_arrives_whole(
    play: Play, newline: str, split: int | None, encoding: str | None
) -> None:
    """Events, comments and raw text arrive in order, whatever the line ending, pieces and encoding."""
    reply = {
        "sse": [
            {"comment": "keep-alive"},
            {"event": "ping", "data": {"a": "ü"}},
            {"raw": "da"},
            {"delay": 0.001},
            {"raw": "ta: x\n\n"},
            {"data": "two\nlines"},
            {"data": "[DONE]"},
        ],
        "newline": newline,
        "split": split,
        "encoding": encoding,
    }
    async with play(reply) as bench:
        response = await bench.post()
        state = await bench.state()
    n = newline
    assert response.headers["content-type"] == "text/event-stream"
    assert response.text == (
        f": keep-alive{n}{n}"
        f'event: ping{n}data: {{"a":"ü"}}{n}{n}'
        f"data: x\n\ndata: two{n}data: lines{n}{n}data: [DONE]{n}{n}"
    )
    assert state.calls[0].completed


async def test_a_cut_stream_lacks_its_end(play: Play) -> None:
    """A cut closes the connection without the closing chunk, after all that was sent."""
    async with play(stream({"end": "cut"}, {"data": "never"})) as bench:
        lines: list[str] = []
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await bench.read_lines(lines)
        raw = await bench.raw_post()
        state = await bench.state()
    assert len(words("\n".join(lines))) == len(CHUNKS)
    assert raw.endswith(b"}\n\n\r\n")
    assert all(call.completed and not call.cancelled for call in state.calls)


async def test_a_reset_stream_ends_in_a_connection_reset(play: Play) -> None:
    """A reset mid-stream is a TCP reset after all that was sent."""
    async with play(stream({"end": "reset"})) as bench:
        lines: list[str] = []
        with pytest.raises(httpx.ReadError):
            await bench.read_lines(lines)
        with pytest.raises(ConnectionResetError):
            await bench.raw_post()
        state = await bench.state()
    assert len(words("\n".join(lines))) == len(CHUNKS)
    assert all(call.completed and not call.cancelled for call in state.calls)


async def test_a_reset_instead_of_an_answer(play: Play) -> None:
    """The reset fault breaks the connection before a byte is answered."""
    async with play({"fault": "reset"}) as bench:
        with pytest.raises(httpx.ReadError):
            await bench.post()
        state = await bench.state()
    assert state.calls[0].completed
    assert not state.calls[0].cancelled
    assert not state.faults


async def test_a_hang_lasts_until_the_caller_goes_away(play: Play) -> None:
    """A hanging call is never answered, and counts as cancelled once its caller closes."""
    async with play({"fault": "hang"}) as bench:
        with pytest.raises(httpx.ReadTimeout):
            await bench.post(timeout=0.1)
        cancelled = await bench.control.wait_cancelled(TARGET, ID, deadline=1)
        state = await bench.state()
    assert cancelled
    assert not state.calls[0].completed


async def test_a_delay_comes_before_the_status_line(play: Play) -> None:
    """A delayed reply keeps the client waiting for its headers."""
    async with play({"json": {}, "delay": 0.2}) as bench:
        before = time.monotonic()
        async with bench.streaming():
            assert time.monotonic() - before >= 0.2


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_caller_that_leaves_a_stream_is_seen_at_once(play: Play, how: str) -> None:
    """Closing or resetting a connection half-way through a stream counts as cancelled within a second."""
    async with play(stream({"delay": 60}, {"data": "late"})) as bench:
        host, port = bench.provider.url.removeprefix("http://").split(":")
        path = bench.base.removeprefix(bench.provider.url)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {path}/v1/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        if how == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        writer.close()
        assert await bench.control.wait_cancelled(TARGET, ID, deadline=1)
        state = await bench.state()
    assert not state.calls[0].completed
    assert not state.faults


async def test_a_caller_that_stops_reading_and_leaves_does_not_block_the_stub(play: Play) -> None:
    """An answer larger than every buffer is dropped when its caller leaves, and the server still stops."""
    async with play({"text": "x" * 50_000_000}) as bench:
        async with bench.streaming():
            pass
        assert await bench.control.wait_cancelled(TARGET, ID, deadline=1)


async def test_a_stream_read_to_done_is_never_cancelled(play: Play) -> None:
    """A client that closes as soon as it has read `[DONE]` leaves a complete call behind."""
    async with play(stream({"data": "[DONE]"})) as bench:
        for _ in range(20):
            async with bench.streaming() as response:
                async for line in response.aiter_lines():
                    if "[DONE]" in line:
                        break
        async with asyncio.timeout(5):
            assert not await bench.control.wait_cancelled(TARGET, ID, deadline=50)
        state = await bench.state()
    assert [call.completed for call in state.calls] == [True] * 20


async def test_lockstep_withholds_the_second_half_until_a_frame_was_read(play: Play) -> None:
    """In lockstep the second half of a stream waits for the client's report; nothing is held back then."""
    async with play(stream({"data": "[DONE]"})) as bench:
        await bench.control.lockstep(TARGET, ID)
        lines: list[str] = []
        reading = asyncio.create_task(bench.read_lines(lines))
        async with asyncio.timeout(5):
            while len(words("\n".join(lines))) < 3:
                await asyncio.sleep(0.01)
        await bench.control.read(TARGET, ID, 0)
        await asyncio.wait({reading}, timeout=0.2)
        withheld = not reading.done() and len(words("\n".join(lines))) == 3
        await bench.control.read(TARGET, ID, 1)
        await reading
        state = await bench.state()
    assert withheld
    assert len(words("\n".join(lines))) == len(CHUNKS)
    assert state.held_back == 0
    assert state.calls[0].completed


async def test_lockstep_counts_a_stream_that_nobody_read_from_in_time(play: Play) -> None:
    """When the deadline passes unread the rest is sent all the same, and counted as held back."""
    async with play(stream({"data": "[DONE]"}), lockstep_deadline=0.05) as bench:
        await bench.control.lockstep(TARGET, ID)
        await bench.control.read(TARGET, ID, 0)
        response = await bench.post()
        state = await bench.state()
    assert len(words(response.text)) == len(CHUNKS)
    assert state.held_back == 1
    assert [call.held_back for call in state.calls] == [1]


async def test_a_short_stream_is_never_withheld(play: Play) -> None:
    """Lockstep leaves streams of fewer than four data events alone."""
    reply = {"sse": [{"data": "1"}, {"comment": "x"}, {"data": "2"}, {"data": "3"}]}
    async with play(reply, lockstep_deadline=30) as bench:
        await bench.control.lockstep(TARGET, ID)
        await bench.post()
        state = await bench.state()
    assert state.held_back == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/read", {"frames": "1"}, 400),
        ("POST", "/read", None, 400),
        ("POST", "/nonsense", None, 404),
        ("PUT", "", None, 404),
    ],
)
async def test_a_wrong_control_request_is_refused(
    play: Play, method: str, path: str, body: Any, status: int
) -> None:
    """Control answers what it does not understand with an error, not with silence."""
    async with play() as bench:
        url = base_url(f"{bench.provider.url}/_control", TARGET, ID) + path
        response = await bench.client.request(method, url, json=body)
    assert response.status_code == status


async def test_what_is_no_http_is_refused(play: Play) -> None:
    """Bytes that are no HTTP request get a 400."""
    async with play() as bench:
        answer = await bench.raw(b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(play: Play) -> None:
    """`expect: 100-continue` is answered before the body is awaited."""
    async with play({"json": {}}) as bench:
        host, port = bench.provider.url.removeprefix("http://").split(":")
        path = bench.base.removeprefix(bench.provider.url)
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path}/v1/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.write(b"{}")
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
        state = await bench.state()
    assert state.calls[0].body == {}


async def test_a_head_request_gets_no_body(play: Play) -> None:
    """HEAD is answered with the headers alone."""
    async with play({"json": {"a": 1}}) as bench:
        path = bench.base.removeprefix(bench.provider.url)
        answer = await bench.raw(f"HEAD {path}/v1/models HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: 7" in head
    assert body == b""


async def test_many_callers_at_once_get_their_own_answers() -> None:
    """One server plays many scenarios at the same time without mixing them."""
    scenarios = [scenario({"json": {"n": n}}, id=f"load.many[{n}]") for n in range(40)]
    async with StubProvider(scenarios) as provider, httpx.AsyncClient(trust_env=False) as client:
        urls = [base_url(provider.url, TARGET, one.id) + "/v1/x" for one in scenarios]
        answers = await asyncio.gather(*(client.post(url) for url in urls))
    assert [answer.json()["n"] for answer in answers] == list(range(40))


def test_two_scenarios_of_one_id_are_refused() -> None:
    """A repeated id is an error, because the path could mean either."""
    with pytest.raises(ValueError, match=r"errors\.status\[429\]"):
        StubProvider([scenario(), scenario()])


def test_a_provider_that_does_not_run_has_no_url() -> None:
    """Asking for the address too early says what is missing."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = StubProvider([]).url


@pytest.fixture
def served() -> Iterator[str]:
    chat = scenario({"json": COMPLETION}, id="chat.plain")
    told = scenario(stream({"data": "[DONE]"}), id="chat.stream")
    limited = scenario(
        {"status": 429, "headers": {"retry-after": "3"}, "json": {"error": {"message": "slow", "code": "x"}}}
    )
    with serve_in_thread([chat, told, limited]) as handle:
        yield handle.url


def official(url: str, id: str) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="unused",
        base_url=base_url(url, TARGET, id) + "/v1",
        max_retries=0,
        http_client=plain_client(),
    )


def plain_client() -> httpx.Client:
    return httpx.Client(trust_env=False)


def test_the_openai_client_completes_streams_and_raises(served: str) -> None:
    """The official client finds in the stub, run from another thread, a provider like any other."""
    ask: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    with official(served, "chat.plain") as client:
        assert client.chat.completions.create(**ask).choices[0].message.content == "Hi"
    with official(served, "chat.stream") as client:
        chunks = list(client.chat.completions.create(stream=True, **ask))
    with official(served, ID) as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**ask)
    assert "".join(chunk.choices[0].delta.content for chunk in chunks) == "Grüße aus der 🌍!"
    assert caught.value.response.headers["retry-after"] == "3"
    assert caught.value.body == {"message": "slow", "code": "x"}


def test_a_failure_to_start_in_a_thread_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong before the thread serves reaches the caller."""

    def no_port(*_: Any, **__: Any) -> None:
        raise OSError("no free port")

    monkeypatch.setattr(socket, "create_server", no_port)
    with pytest.raises(OSError, match="no free port"), serve_in_thread([scenario()]):
        pytest.fail("served all the same")


def test_a_thread_stops_with_its_context() -> None:
    """Leaving the context ends the thread, a hanging call or not, and nobody listens any more."""
    with serve_in_thread([scenario({"fault": "hang"})]) as handle:
        host, port = handle.url.removeprefix("http://").split(":")
        path = base_url("", TARGET, ID)
        caller = socket.create_connection((host, int(port)))
        caller.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
    with caller, contextlib.suppress(ConnectionResetError):
        caller.settimeout(5)
        assert caller.recv(1) == b""
    with plain_client() as client, pytest.raises(httpx.ConnectError):
        client.get(handle.url)


def test_a_refused_url_refuses() -> None:
    """Every connection to it is refused, as often as one tries."""
    with refused_url() as url, plain_client() as client:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                client.get(url)


async def test_a_reply_with_a_condition_is_for_the_calls_that_meet_it(play: Play) -> None:
    """It comes before the others and has no turn of its own."""
    conditional = {"when": {"Cookie": "a=1"}, "json": {"n": "known"}}
    async with play({"json": {"n": 1}}, conditional, {"json": {"n": 2}}) as bench:
        asked = ["b=2", "x=0; a=1", "", "a=1", "a=2"]
        got = [(await bench.post(headers={"cookie": cookie})).json()["n"] for cookie in asked]
    assert got == [1, "known", 2, "known", 2]

"""The client's side of scenarios, against the stub provider as the target."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from parity.catalogue.scenario import ClientRequest, Scenario
from parity.observation.model import Exchange, Frame
from parity.provider.server import ProviderControl, ProviderState, StubProvider, base_url, refused_url
from parity.targets.client import Credentials, build_request, play

TARGET = "url"
ID = "client.test"
KEYS = Credentials("sk-the-right-key")


def scenario(reply: dict[str, Any], *requests: dict[str, Any]) -> Scenario:
    asked = list(requests) or [{"json": {"model": "m"}}]
    return Scenario.model_validate(
        {
            "id": ID,
            "title": "for a test",
            "provider": [reply],
            "client": asked,
            "expect": {"responses": [{} for _ in asked]},
        }
    )


def said(text: str) -> dict[str, Any]:
    return {"data": {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}}


STREAM = [said("Grü"), said("ße "), said("🌍"), said("!"), {"data": "[DONE]"}]


class Stage:
    """A stub provider as the target of one scenario, and the client to play it with."""

    def __init__(self, one: Scenario, client: httpx.AsyncClient, control: ProviderControl) -> None:
        self.scenario, self.client, self.control = one, client, control

    async def play(self, **hooks: Any) -> list[Exchange]:
        return await play(self.client, self.scenario, keys=KEYS, **hooks)

    async def state(self) -> ProviderState:
        return await self.control.state(TARGET, ID)

    async def until_called(self) -> None:
        assert await self.control.wait_called(TARGET, ID, deadline=5)


Staged = Callable[..., contextlib.AbstractAsyncContextManager[Stage]]


@pytest.fixture
def staged() -> Staged:
    @contextlib.asynccontextmanager
    async def stage(reply: dict[str, Any], *requests: dict[str, Any]) -> AsyncIterator[Stage]:
        one = scenario(reply, *requests)
        async with (
            StubProvider([one]) as provider,
            httpx.AsyncClient(
                base_url=base_url(provider.url, TARGET, ID), trust_env=False, timeout=10
            ) as client,
            ProviderControl(provider.url) as control,
        ):
            yield Stage(one, client, control)

    return stage


async def test_a_json_answer_is_seen_whole(staged: Staged) -> None:
    """Status, visible headers and the parsed body make the response."""
    reply = {"status": 429, "headers": {"Retry-After": "7", "Date": "x", "server": "y"}, "json": {"a": [1]}}
    async with staged(reply) as stage:
        (exchange,) = await stage.play()
    assert (exchange.method, exchange.path, exchange.failed) == ("POST", "/v1/chat/completions", None)
    assert exchange.response is not None
    assert exchange.response.status == 429
    assert exchange.response.json_body == {"a": [1]}
    assert list(exchange.response.headers.items()) == [
        ("content-type", "application/json"),
        ("retry-after", "7"),
    ]


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"text": "<h1>x</h1>", "headers": {"content-type": "text/html"}}, "<h1>x</h1>"),
        ({"text": "{half", "headers": {"content-type": "application/json"}}, "{half"),
        ({"text": "1"}, "1"),
        ({}, None),
    ],
)
async def test_what_is_no_json_is_text(staged: Staged, reply: dict[str, Any], text: str | None) -> None:
    """A body that is not JSON, or does not say that it is, is kept as text; an empty one is nothing."""
    async with staged(reply) as stage:
        (exchange,) = await stage.play()
    assert exchange.response is not None
    assert (exchange.response.text, exchange.response.json_body) == (text, None)


@pytest.mark.parametrize("split", [None, 1])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_a_stream_is_read_frame_by_frame(staged: Staged, newline: str, split: int | None) -> None:
    """Frames come in order, parsed where they are JSON, and add up to a message."""
    sse = [{"comment": "hello"}, {"event": "ping", "data": "a\nb"}, *STREAM]
    async with staged({"sse": sse, "newline": newline, "split": split}) as stage:
        counted: list[int] = []

        async def on_frame(count: int) -> None:
            counted.append(count)

        (exchange,) = await stage.play(on_frame=on_frame)
    assert exchange.response is not None
    stream = exchange.response.stream
    assert stream is not None
    assert stream.frames[0] == Frame(event="ping", data="a\nb")
    assert [frame.data for frame in stream.frames[1:]] == [step["data"] for step in STREAM]
    assert counted == [1, 2, 3, 4, 5, 6]
    assert stream.message.texts == ["Grüße 🌍!"]
    assert (stream.done, stream.broken) == (True, None)


@pytest.mark.parametrize(("end", "error"), [("cut", "RemoteProtocolError"), ("reset", "ReadError")])
async def test_a_broken_stream_says_what_broke_it(staged: Staged, end: str, error: str) -> None:
    """The frames before a transport error are kept, and the error is named."""
    async with staged({"sse": [*STREAM[:2], {"end": end}]}) as stage:
        (exchange,) = await stage.play()
    assert exchange.failed is None
    assert exchange.response is not None
    assert exchange.response.stream is not None
    assert exchange.response.stream.message.texts == ["Grüße "]
    assert not exchange.response.stream.done
    assert (exchange.response.stream.broken or "").startswith(error)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"fault": "reset"}, "ReadError"),
        ({"text": "short", "headers": {"content-length": "50"}}, "RemoteProtocolError"),
        ({"text": "x", "headers": {"content-length": "many"}}, "RemoteProtocolError"),
        ({"text": "no gzip", "headers": {"content-encoding": "gzip"}}, "DecodingError"),
    ],
)
async def test_an_answer_that_cannot_be_read_has_failed(
    staged: Staged, reply: dict[str, Any], error: str
) -> None:
    """Transport errors, wrong lengths and wrong encodings are recorded as the failure of the exchange."""
    async with staged(reply) as stage:
        (exchange,) = await stage.play()
    assert exchange.response is None
    assert (exchange.failed or "").startswith(error)


async def test_a_refused_connection_has_failed() -> None:
    """A target that is not there is a failure, not an exception."""
    with refused_url() as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            (exchange,) = await play(client, scenario({}), keys=KEYS)
    assert (exchange.failed or "").startswith("ConnectError")


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ("bearer", {"authorization": "Bearer sk-the-right-key"}),
        ("x-api-key", {"x-api-key": "sk-the-right-key"}),
        ("wrong", {"authorization": f"Bearer {KEYS.wrong}"}),
        ("none", {}),
    ],
)
async def test_auth_names_the_credential(staged: Staged, auth: str, headers: dict[str, str]) -> None:
    """Each word of `auth` sends its header and no other credential."""
    async with staged({"json": {}}, {"auth": auth, "json": {}}) as stage:
        await stage.play()
        call = (await stage.state()).calls[0]
    assert {k: v for k, v in call.headers.items() if k in ("authorization", "x-api-key")} == headers


def test_credentials_are_not_printed() -> None:
    """No key shows in the printed form."""
    assert "sk-" not in repr(KEYS)


async def test_requests_are_sent_in_order_as_the_scenario_says(staged: Staged) -> None:
    """Method, path, query, headers and body arrive as written, one request after the other."""
    async with staged(
        {"json": {}},
        {"method": "GET", "path": "/v1/models/a%2Fb?x=1"},
        {"headers": {"User-Agent": "claude-cli/2", "X-Memory-User-Id": "ann"}, "json": {"model": "ü"}},
        {"body": '{"model": ', "headers": {"Content-Type": "text/plain"}},
    ) as stage:
        exchanges = await stage.play()
        first, second, third = (await stage.state()).calls
    assert [exchange.method for exchange in exchanges] == ["GET", "POST", "POST"]
    assert (first.route, first.body) == ("GET /v1/models/a%2Fb?x=1", None)
    assert "content-type" not in first.headers
    assert first.headers["user-agent"] == "parity"
    assert second.body == {"model": "ü"}
    assert second.headers["user-agent"] == "claude-cli/2"
    assert second.headers["x-memory-user-id"] == "ann"
    assert second.headers["content-type"] == "application/json"
    assert (third.body, third.headers["content-type"]) == ('{"model": ', "text/plain")


@pytest.mark.parametrize("body", [{"json": {"model": "ü"}}, {"body": '{"model": "ü"}'}, {}])
def test_a_body_is_padded_to_its_size(body: dict[str, Any]) -> None:
    """The padding changes the size of a JSON body in bytes, not what it says."""
    asked = ClientRequest.model_validate({"body_bytes": 1000, **body})
    request = build_request(httpx.AsyncClient(base_url="http://x"), asked, KEYS)
    assert len(request.content) == 1000
    assert json.loads(request.content) == ({"model": "ü"} if body else {})


def test_a_body_longer_than_its_size_is_refused() -> None:
    """A size that the body already exceeds is a mistake in the scenario."""
    asked = ClientRequest.model_validate({"body_bytes": 3, "json": {"model": "m"}})
    with pytest.raises(ValueError, match="more than body_bytes: 3"):
        build_request(httpx.AsyncClient(base_url="http://x"), asked, KEYS)


async def test_hanging_up_after_frames_cancels_the_call(staged: Staged) -> None:
    """The client leaves after exactly that many frames, and the provider sees it go."""
    reply = {"sse": [*STREAM[:2], {"delay": 60}, *STREAM[2:]]}
    async with staged(reply, {"json": {}, "hang_up_after": 2}) as stage:
        counted: list[int] = []

        async def on_frame(count: int) -> None:
            counted.append(count)

        (exchange,) = await stage.play(on_frame=on_frame)
        assert await stage.control.wait_cancelled(TARGET, ID, deadline=1)
    assert counted == [1, 2]
    assert (exchange.hung_up, exchange.response, exchange.failed) == (True, None, None)


async def test_a_stream_that_ends_before_the_hang_up_is_seen_whole(staged: Staged) -> None:
    """Without enough frames there is no hanging up, and the response is there to be checked."""
    async with staged({"sse": STREAM}, {"json": {}, "hang_up_after": 6}) as stage:
        (exchange,) = await stage.play()
    assert not exchange.hung_up
    assert exchange.response is not None


@pytest.mark.parametrize("reply", [{"fault": "hang"}, {"json": {}, "delay": 60}])
async def test_hanging_up_before_the_response(staged: Staged, reply: dict[str, Any]) -> None:
    """The client leaves once the provider has the call and before anything is answered."""
    async with staged(reply, {"json": {}, "hang_up_after": 0}) as stage:
        async with asyncio.timeout(5):
            (exchange,) = await stage.play(until_called=stage.until_called)
        assert await stage.control.wait_cancelled(TARGET, ID, deadline=1)
        state = await stage.state()
    assert (exchange.hung_up, exchange.response, exchange.failed) == (True, None, None)
    assert len(state.calls) == 1


async def test_an_answer_faster_than_the_hang_up_is_seen(staged: Staged) -> None:
    """When the response comes although the provider was never called, it is there to be checked."""
    async with staged({"status": 400, "json": {}}, {"json": {}, "hang_up_after": 0}) as stage:
        (exchange,) = await stage.play(until_called=asyncio.Event().wait)
    assert not exchange.hung_up
    assert exchange.response is not None
    assert exchange.response.status == 400


async def test_hanging_up_at_once_needs_the_hook(staged: Staged) -> None:
    """Without a way to know when the provider has the call, the scenario cannot be played."""
    async with staged({"fault": "hang"}, {"json": {}, "hang_up_after": 0}) as stage:
        with pytest.raises(ValueError, match="hang_up_after: 0"):
            await stage.play()


async def test_a_failing_hook_is_not_blamed_on_the_target(staged: Staged) -> None:
    """A transport error of the harness's own hooks is raised, never recorded as the target's."""

    async def broken(*_: Any) -> None:
        raise httpx.ConnectError("the control port is gone")

    async with staged({"sse": STREAM}) as stage:
        with pytest.raises(RuntimeError, match="control port is gone"):
            await stage.play(on_frame=broken)
    async with staged({"fault": "hang"}, {"json": {}, "hang_up_after": 0}) as stage:
        with pytest.raises(RuntimeError, match="control port is gone"):
            await stage.play(until_called=broken)


async def test_reading_in_lockstep_shows_that_nothing_is_held_back(staged: Staged) -> None:
    """A client that reports its first frame gets the second half of the stream without a wait."""
    async with staged({"sse": STREAM}) as stage:
        await stage.control.lockstep(TARGET, ID)

        async def on_frame(count: int) -> None:
            await stage.control.read(TARGET, ID, count)

        (exchange,) = await stage.play(on_frame=on_frame)
        state = await stage.state()
    assert exchange.response is not None
    assert exchange.response.stream is not None
    assert exchange.response.stream.done
    assert state.held_back == 0

"""Plays requests with the official Python clients of OpenAI, Anthropic and Groq, and counts their own retries.

    scenario ──> official client ──> transport that keeps every attempt ──> endpoint
                      │                          │
                      └ what it raises           └ the last answer, as it came

The client decides what is sent around a request: its headers, how often it asks again, when it gives up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, get_args

import httpx

from parity.catalogue.scenario import ClientRequest, Scenario
from parity.observation.model import Exchange
from parity.targets.client import Credentials, read_response

Player = Literal["openai", "anthropic", "groq"]
OnItem = Callable[[int], Awaitable[None]]
PLAYERS: tuple[Player, ...] = get_args(Player)
PATIENCE = 120.0


@dataclass(frozen=True)
class _Way:
    """Holds how a client asks a route: the path behind its base URL, the types of an answer and of a stream's items."""

    path: str
    answer: str
    item: str


@dataclass(frozen=True)
class _Client:
    name: str
    base: str
    """The path that the base URL of this client ends in."""
    ways: dict[str, _Way]

    def route(self, path: str) -> str:
        """Return the path that the client asks of a server where a scenario asks `path`."""
        return f"{self.base}{self.ways[path].path}"


CLIENTS: dict[str, _Client] = {
    "openai": _Client(
        "AsyncOpenAI",
        "/v1",
        {
            "/v1/chat/completions": _Way(
                "/chat/completions", "types.chat:ChatCompletion", "types.chat:ChatCompletionChunk"
            ),
            "/v1/responses": _Way(
                "/responses", "types.responses:Response", "types.responses:ResponseStreamEvent"
            ),
            "/v1/embeddings": _Way(
                "/embeddings", "types:CreateEmbeddingResponse", "types:CreateEmbeddingResponse"
            ),
        },
    ),
    "anthropic": _Client(
        "AsyncAnthropic",
        "",
        {"/v1/messages": _Way("/v1/messages", "types:Message", "types:RawMessageStreamEvent")},
    ),
    "groq": _Client(
        "AsyncGroq",
        "",
        {
            "/v1/chat/completions": _Way(
                "/openai/v1/chat/completions", "types.chat:ChatCompletion", "types.chat:ChatCompletionChunk"
            )
        },
    ),
}


def why_not_asked(scenario: Scenario, player: Player) -> str | None:
    """Return what a client can't do of a scenario's requests; None where it can make all of them."""
    for request in scenario.client:
        if reason := _cannot(request, player):
            return f"{reason}, which the client {player} can't"
    if len(scenario.provider) > 1 and any(r.status >= 400 or r.fault for r in scenario.provider):
        return f"has a reply for each call, and the client {player} calls again on its own"
    return None


def _cannot(request: ClientRequest, player: Player) -> str | None:
    if request.path not in CLIENTS[player].ways or request.method != "POST":
        return "asks another route"
    if not isinstance(request.json_, dict):
        return "sends a body that is no JSON object"
    if request.auth not in ("bearer", "x-api-key", "wrong"):
        return "sends no key, or in another header"
    if request.encoding is not None:
        return "packs its request"
    if request.hang_up_after is not None:
        return "hangs up"
    if request.body_bytes or request.header_bytes or request.header_count:
        return "pads its request"
    return None


async def play_with(
    player: Player,
    base: str,
    scenario: Scenario,
    keys: Credentials,
    headers: dict[str, str],
    on_item: OnItem | None = None,
    longest_wait: float | None = None,
) -> list[Exchange]:
    """Send the scenario's requests one after the other with an official client, at its own settings.

    `on_item` is told how many items of a stream the client has handed out. Before it asks again, the client waits at
    most `longest_wait` seconds; None leaves that to it, and it may wait for minutes where it is told to.
    """
    hooks = _Hooks(on_item, longest_wait)
    return [await _exchange(player, base, request, keys, headers, hooks) for request in scenario.client]


@dataclass(frozen=True)
class _Hooks:
    on_item: OnItem | None
    longest_wait: float | None


@dataclass
class _Attempt:
    status: int
    headers: list[tuple[bytes, bytes]]
    chunks: list[bytes] = field(default_factory=list)
    broken: Exception | None = None

    def response(self, request: httpx.Request) -> httpx.Response:
        """Return the answer again, to be read as any other client's."""

        async def again() -> AsyncIterator[bytes]:
            for chunk in self.chunks:
                yield chunk
            if self.broken is not None:
                kind = getattr(httpx, type(self.broken).__name__, httpx.RequestError)
                raise kind(str(self.broken))

        return httpx.Response(self.status, headers=self.headers, content=again(), request=request)


def _keeping(http: Any, attempts: list[_Attempt | Exception]) -> Any:
    """Return a transport that keeps every attempt's answer; `http` is the client's own httpx or httpx2."""
    inner = http.AsyncHTTPTransport()

    class Tap(http.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, stream: Any, attempt: _Attempt) -> None:
            self._stream = stream
            self._attempt = attempt

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for chunk in self._stream:
                    self._attempt.chunks.append(chunk)
                    yield chunk
            except http.RequestError as error:
                self._attempt.broken = error
                raise

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Keeping(http.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            try:
                response = await inner.handle_async_request(request)
            except http.RequestError as error:
                attempts.append(error)
                raise
            attempt = _Attempt(response.status_code, list(response.headers.raw))
            attempts.append(attempt)
            return http.Response(
                response.status_code, headers=response.headers, stream=Tap(response.stream, attempt)
            )

        async def aclose(self) -> None:
            await inner.aclose()

    return Keeping()


async def _exchange(
    player: Player,
    base: str,
    asked: ClientRequest,
    keys: Credentials,
    headers: dict[str, str],
    hooks: _Hooks,
) -> Exchange:
    module: Any = import_module(player)
    client = CLIENTS[player]
    way = client.ways[asked.path]
    # One that is built on httpx2 takes no client of httpx.
    inside = vars(import_module(f"{player}._base_client"))
    package: Any = inside.get("httpx2") or inside["httpx"]
    attempts: list[_Attempt | Exception] = []
    raised: str | None = None
    async with package.AsyncClient(transport=_keeping(package, attempts), timeout=PATIENCE) as http:
        official = getattr(module, client.name)(
            api_key=(keys.wrong if asked.auth == "wrong" else keys.key) or "none",
            base_url=f"{base}{client.base}",
            http_client=http,
        )
        if hooks.longest_wait is not None:
            _shorten(official, hooks.longest_wait)
        try:
            await _ask(module, official, way, asked, headers, hooks.on_item)
        except module.APIError as error:
            raised = type(error).__name__
        except (package.RequestError, ValueError) as error:  # of a stream that breaks, or holds no JSON
            raised = type(error).__name__
    exchange = Exchange(method=asked.method, path=asked.path, attempts=len(attempts), raised=raised)
    last = attempts[-1]
    if not isinstance(last, _Attempt):
        return exchange.model_copy(update={"failed": f"{type(last).__name__}: {last}"})
    answer = last.response(httpx.Request(asked.method, f"{base}{asked.path}"))
    return exchange.model_copy(update={"response": await read_response(answer)})


def _shorten(official: Any, longest: float) -> None:
    """Let a client wait no longer than so many seconds before it asks again, for which it has no setting."""
    wait = official._calculate_retry_timeout
    official._calculate_retry_timeout = lambda *args, **options: min(wait(*args, **options), longest)


async def _ask(
    module: Any,
    official: Any,
    way: _Way,
    asked: ClientRequest,
    headers: dict[str, str],
    on_item: OnItem | None,
) -> None:
    """Ask, and read the answer to its end."""
    body: Any = asked.json_
    streamed = bool(body.get("stream"))
    answer = await official.post(
        way.path,
        cast_to=_type(module, way.answer),
        body=body,
        options={"headers": {**headers, **asked.headers}},
        stream=streamed,
        stream_cls=module.AsyncStream[_type(module, way.item)] if streamed else None,
    )
    if streamed:
        count = 0
        async for _ in answer:
            count += 1
            if on_item is not None:
                await on_item(count)


def _type(module: Any, place: str) -> Any:
    """Return a type of a client's package: `types.chat:ChatCompletion`."""
    folder, _, name = place.partition(":")
    return getattr(import_module(f"{module.__name__}.{folder}"), name)

"""Plays the provider side of every scenario on loopback, and remembers the requests that it received.

    http://127.0.0.1:PORT/{target}/{scenario}/v1/chat/completions    a call; the scenario id percent-encoded
    http://127.0.0.1:PORT/{target}/{scenario}/memory/v4/profile      a lookup of memories, answered from `memory`
    http://127.0.0.1:PORT/_control/{target}/{scenario}               what came of it, see control.py
    http://127.0.0.1:PORT/v1/chat/completions                        which scenario is told otherwise, see addressing.py

One server serves all scenarios and targets at once. The i-th call of a target to a scenario gets the i-th
reply, the last one repeats; a reply with `when` is for any call that fits it, and has no turn. Every answer
ends its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import h11

from parity.catalogue.scenario import ProviderReply, Scenario
from parity.provider.addressing import ANY, find
from parity.provider.control import (
    CONTROL,
    Overview,
    ProviderCall,
    ProviderControl,
    ProviderState,
    Received,
    base_url,
)
from parity.provider.dialects import dialect_of, models_of, translated
from parity.provider.memory import FOLDER, unexpected
from parity.provider.own_answers import models_reply, refusal, unaddressed
from parity.provider.signatures import altered, signed
from parity.provider.wire import Request, read_request, reset, send_reply
from parity.support.json import read_json

__all__ = [
    "ProviderCall",
    "ProviderControl",
    "ProviderState",
    "StubProvider",
    "base_url",
    "refused_url",
    "serve_in_thread",
]

log = logging.getLogger(__name__)
LOCKSTEP_DEADLINE = 5.0
LOOPBACK = ("127.0.0.1", 0)


@dataclass(slots=True)
class _Cell:
    """Holds what happened between one target and one scenario."""

    replies: list[ProviderReply]
    memories: list[ProviderReply]
    calls: list[ProviderCall] = field(default_factory=list)
    lookups: list[ProviderCall] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    turns: list[int] = field(default_factory=lambda: [0, 0])
    lockstep: bool = False
    frame_read: asyncio.Event = field(default_factory=asyncio.Event)

    def next_reply(self, call: ProviderCall, is_lookup: bool) -> ProviderReply:
        """Note a call and return its reply; refuse a memory lookup where the scenario has no memories."""
        replies, calls = (self.memories, self.lookups) if is_lookup else (self.replies, self.calls)
        calls.append(call)
        for reply in replies:
            if reply.when and _fits(call, reply.when):
                return reply
        if in_turn := [reply for reply in replies if not reply.when]:
            turn = self.turns[is_lookup] = self.turns[is_lookup] + 1
            return in_turn[min(turn, len(in_turn)) - 1]
        if is_lookup:
            self.faults.append(unexpected(call.route))
        return refusal(500, "the scenario expects no call to the provider, and gives no reply")

    def state(self) -> ProviderState:
        held_back = sum(call.held_back for call in self.calls)
        return ProviderState(calls=self.calls, memory=self.lookups, held_back=held_back, faults=self.faults)


class StubProvider:
    """Serves scenarios, as an async context manager on the running loop. `lockstep_deadline` is in seconds.

    A call that names no scenario gets `default`'s; `target` is the name of those whose path names no target.
    Raises `ValueError` when two scenarios have one id, `OSError` when the port isn't free.
    """

    def __init__(
        self,
        scenarios: Iterable[Scenario],
        *,
        lockstep_deadline: float = LOCKSTEP_DEADLINE,
        place: tuple[str, int] = LOOPBACK,
        default: str | None = None,
        target: str = ANY,
    ) -> None:
        self._scenarios: dict[str, Scenario] = {}
        for scenario in scenarios:
            if scenario.id in self._scenarios:
                raise ValueError(f"two scenarios have the id {scenario.id}")
            self._scenarios[scenario.id] = scenario
        self._lockstep_deadline = lockstep_deadline
        self._place = place
        self._default = default
        self._target = target
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._received: list[Received] = []
        self._listener: socket.socket | None = None
        self._connections: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def url(self) -> str:
        """Return `http://HOST:PORT`, without a closing slash; only while it serves."""
        if self._listener is None:
            raise RuntimeError("the stub provider is not running: enter it with `async with`")
        return f"http://{self._place[0]}:{self._listener.getsockname()[1]}"

    async def __aenter__(self) -> StubProvider:
        # asyncio's own server leaks a connection that it accepts in the turn in which it is closed, and its
        # caller then waits for ever; so we accept ourselves.
        self._listener = socket.create_server(self._place, backlog=1024)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        connections = dict(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for connection in connections.values():
            connection.close()  # still open only if its task was cancelled before its first step

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.ensure_future(self._serve(connection))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection)
        # No buffer on our side: what has been drained is in the kernel, so a reset cuts exactly there.
        writer.transport.set_write_buffer_limits(0)
        try:
            request = await read_request(reader, writer)
            if request is not None:
                await self._dispatch(request, reader, writer)
        except h11.RemoteProtocolError as error:
            log.warning("stub provider: not an HTTP request: %s", error)
            with contextlib.suppress(ConnectionError):
                await send_reply(writer, refusal(400, f"not an HTTP request: {error}"))
        except ConnectionError as error:
            log.debug("stub provider: the caller went away: %r", error)
        except Exception:
            log.exception("stub provider: a request could not be served")
            reset(writer)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            if not writer.is_closing():
                writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _dispatch(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = request.target.removeprefix("/")
        if path == CONTROL:
            await send_reply(writer, self._overview(request.method), method=request.method)
            return
        if path.startswith(f"{CONTROL}/"):
            target, _, rest = path.removeprefix(f"{CONTROL}/").partition("/")
            scenario, _, verb = rest.partition("/")
            reply = self._control(request.method, unquote(target), unquote(scenario), verb, request.body)
            await send_reply(writer, reply, method=request.method)
            return
        if listed := models_of(request.method, request.target, self._scenarios):
            await send_reply(writer, listed)
            return
        address = find(request, self._scenarios, self._default, self._target)
        if address is None:
            if request.method == "GET" and path.partition("?")[0].endswith("v1/models"):
                await send_reply(writer, models_reply(request, self._scenarios))
                return
            log.warning("stub provider: no scenario for %s %s", request.method, request.target)
            await send_reply(writer, unaddressed(request), method=request.method)
            return
        cell = self._cell(address.target, address.scenario)
        is_lookup = address.rest.startswith(f"{FOLDER}/")
        route = f"{request.method} /{address.rest.removeprefix(f'{FOLDER}/') if is_lookup else address.rest}"
        call = ProviderCall(route=route, headers=request.headers, body=request.parsed_body())
        self._received.append(Received(target=address.target, scenario=address.scenario, call=call))
        reply = cell.next_reply(call, is_lookup)
        if self._scenarios[address.scenario].deployment.provider == "anthropic" and not is_lookup:
            reply = altered(call.body, signed(self._scenarios[address.scenario])) or reply
        if dialect := dialect_of(address.rest, call.body):
            reply = translated(reply, dialect, address.scenario)
        await self._answer(cell, call, reply, request.method, reader, writer)

    def _overview(self, method: str) -> ProviderReply:
        """Answer at `/_control`: all that was received, in order; DELETE forgets it."""
        if method == "DELETE":
            self._cells.clear()
            self._received.clear()
            return ProviderReply(status=204)
        if method != "GET":
            return refusal(405, f"{CONTROL} takes GET and DELETE")
        overview = Overview(
            scenarios={s.id: s.deployment.provider for s in self._scenarios.values()}, received=self._received
        )
        return ProviderReply(json=overview.model_dump())

    def _cell(self, target: str, scenario: str) -> _Cell:
        played = self._scenarios[scenario]
        return self._cells.setdefault((target, scenario), _Cell(played.provider, played.memory))

    async def _answer(
        self,
        cell: _Cell,
        call: ProviderCall,
        reply: ProviderReply,
        method: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Play the reply of one call while listening whether its caller is still there."""
        cell.frame_read.clear()
        playing = asyncio.ensure_future(self._play(cell, call, reply, method, writer))
        gone = asyncio.ensure_future(_gone(reader))
        try:
            await asyncio.wait({playing, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                call.cancelled = True
                playing.cancel()
            await playing
        except asyncio.CancelledError:
            if not call.cancelled:
                raise
        except ConnectionError:
            call.cancelled = not call.completed
        except Exception as error:
            log.exception("stub provider: the reply to %s could not be played", call.route)
            cell.faults.append(f"the reply to {call.route} could not be played: {error!r}")
            reset(writer)
        finally:
            playing.cancel()
            gone.cancel()

    async def _play(
        self,
        cell: _Cell,
        call: ProviderCall,
        reply: ProviderReply,
        method: str,
        writer: asyncio.StreamWriter,
    ) -> None:
        async def until_read() -> None:
            try:
                async with asyncio.timeout(self._lockstep_deadline):
                    await cell.frame_read.wait()
            except TimeoutError:
                call.held_back = 1

        await send_reply(writer, reply, method=method, at_middle=until_read if cell.lockstep else None)
        call.completed = True

    def _control(self, method: str, target: str, scenario: str, verb: str, body: bytes) -> ProviderReply:
        if scenario not in self._scenarios:
            return refusal(404, f"no scenario has the id {scenario!r}")
        cell = self._cell(target, scenario)
        match method, verb:
            case "GET", "":
                return ProviderReply(json=cell.state().model_dump())
            case "DELETE", "":
                # Calls still being answered keep the old cell, and so cannot disturb the next run.
                del self._cells[target, scenario]
                self._received = [r for r in self._received if (r.target, r.scenario) != (target, scenario)]
            case "POST", "lockstep":
                cell.lockstep = True
            case "POST", "read":
                frames = _frames(body)
                if frames is None:
                    return refusal(400, 'needs a body {"frames": n}, n from 0')
                if frames:
                    cell.frame_read.set()
            case _:
                return refusal(404, f"no control verb {method} {verb!r}")
        return ProviderReply(status=204)


def _fits(call: ProviderCall, when: Mapping[str, str]) -> bool:
    return all(text in call.headers.get(name.lower(), "") for name, text in when.items())


async def _gone(reader: asyncio.StreamReader) -> None:
    """Return when the caller closed its side; whatever it sends meanwhile is dropped."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


def _frames(body: bytes) -> int | None:
    try:
        value: Any = read_json(body)
    except ValueError:
        return None
    frames = value.get("frames") if isinstance(value, dict) else None
    return frames if isinstance(frames, int) and frames >= 0 else None


@dataclass(frozen=True, slots=True)
class ServedProvider:
    """Holds the address of a stub provider that runs elsewhere."""

    url: str


@contextlib.contextmanager
def serve_in_thread(scenarios: Iterable[Scenario], **options: Any) -> Iterator[ServedProvider]:
    """Run a `StubProvider` in a daemon thread with a loop of its own. Takes and raises what `StubProvider` does."""
    provider = StubProvider(scenarios, **options)
    ready = threading.Event()
    started: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with provider:
            started.append((provider.url, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # raised again in the caller's thread
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="stub-provider", daemon=True)
    thread.start()
    ready.wait()
    try:
        if started:
            yield ServedProvider(started[0][0])
    finally:
        if started and thread.is_alive():
            started[0][1].call_soon_threadsafe(started[0][2].set)
        thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def refused_url() -> Iterator[str]:
    """Yield a loopback address that refuses connections while the context lasts: bound, not listening."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"

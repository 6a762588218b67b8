"""Serves applications until a signal: one process, one event loop, a uvicorn for each.

    bind ── start, one after the other ── announce ── serve
    first SIGTERM or SIGINT   no new connections, no new requests; what runs may end
    grace over, or a second   what still runs is told so: 503, or a stream's error event and its end
    a second later            what is left is cut off
                              then the applications are closed, the last one first

Returning means a clean stop. Everything else is an exception with the exit code of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import math
import signal
import socket
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
import uvicorn

from proxies.config.limits import Limits
from proxies.config.loading import ConfigError
from proxies.front.draining import Draining
from proxies.server.http11 import http11, make_room
from proxies.shared import Count, Shared
from proxies.support import garbage
from proxies.support.redact import redact_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE = 10.0
"""Seconds. Long enough for most answers to end."""

_FAREWELL = 1.0
_ADVICE = "choose another --port, or 0 for a free one"
# asyncio takes the backlog for the number of connections to accept before it looks at any of them, so that it must fit
# into the open files beside those that are served; the kernel may let more of them wait. Of several workers each takes
# one at a time, or the first to look would take all.
_ACCEPTED_AT_ONCE = 64
_BACKLOG = 2048
_COMPLAINED_EVERY = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Why a start failed is told by `serve`, why an interceptor's answer ended by its app.
_UNTOLD = ("Application startup failed. Exiting.", "ASGI callable returned without completing response.")

_log = logging.getLogger(__name__)


class SetUpError(click.ClickException):
    """Reports what keeps a proxy from being served; exit code 2."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(redact_text(message))


class Crash(click.ClickException):
    """A served application ended by itself; exit code 1."""

    exit_code = 1


@dataclass(frozen=True)
class Service:
    """An application on a bound socket. Without `date_header` it sends its own.

    `connections` are those of all workers that serve it.
    """

    name: str
    create_app: Callable[[], ASGIApp]
    sock: socket.socket
    limits: Limits = field(default_factory=Limits)
    date_header: bool = True
    connections: Count = field(default_factory=lambda: Shared().count())

    @property
    def url(self) -> str:
        return url_of(self.sock)


def serve(
    services: Sequence[Service], *, grace: float = GRACE, announce: Callable[[], None] = lambda: None
) -> None:
    """Blocks until they have been stopped by a signal. `grace` in seconds; `announce` is called once all answer.

    They are started in the given order, each when the one before answers. The sockets are closed at the end. Raises
    `SetUpError` when one can't be started, `Crash` when one ends without having been asked to.
    """
    logging.getLogger("uvicorn.error").addFilter(_untold)
    with contextlib.ExitStack() as closing:
        closing.callback(gc.enable)
        garbage.hold_off()
        for service in services:
            closing.callback(service.sock.close)
        room = make_room(*(service.limits for service in services))
        servers = [_Server(service, limits) for service, limits in zip(services, room, strict=True)]
        asyncio.run(_Run(servers, grace, announce).run())


def _untold(record: logging.LogRecord) -> bool:
    return record.msg not in _UNTOLD


def bind(host: str, port: int, advice: str = _ADVICE) -> socket.socket:
    """Takes the port without listening yet: until the app is ready, clients are refused, not kept waiting.

    Raises `SetUpError`, with the `advice` when somebody else has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named, or asyncio wouldn't set TCP_NODELAY, and every answer would wait 40 ms.
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SetUpError(f"--host {host}: {error.strerror or error}") from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _taken(host, port, error, advice) from None
    return sock


def url_of(sock: socket.socket) -> str:
    """`http://HOST:PORT` of a bound socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"http://{host}:{port}"


def _taken(host: str, port: int, error: OSError, advice: str = _ADVICE) -> SetUpError:
    return SetUpError(f"can't listen on {host}:{port}: {error.strerror or error}; {advice}")


class _Run:
    """The servers from their start to their end."""

    def __init__(self, servers: Sequence[_Server], grace: float, announce: Callable[[], None]) -> None:
        self._servers = servers
        self._grace = grace
        self._announce = announce
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(_LoopErrors())
        with _handled_signals(self._signalled):
            tasks: list[asyncio.Task[None]] = []
            try:
                for server in self._servers:
                    tasks.append(asyncio.create_task(server.live()))
                    await _first((server.up, self._stop), tasks)
                    if not server.up.is_set() or self._stop.is_set():
                        break
                else:
                    garbage.keep()
                    self._announce()
                    await _first((self._stop,), tasks)
                ended = [task.done() for task in tasks]
            finally:
                await self._end(tasks)
        for task in tasks:
            task.result()
        if not self._stop.is_set():
            raise Crash(f"memory-proxy {self._servers[ended.index(True)].service.name} ended by itself")

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Also when one has failed: then the others are asked to end."""
        for server in self._servers:
            server.stop()
        await self._all(tasks, self._grace)
        if left := sum(server.requests for server in self._servers):
            _log.warning("stopping: %d requests have not ended by themselves", left)
        for step in (_Server.cut, _Server.cut_off, _Server.cancel_requests):
            for server in self._servers:
                step(server)
            await self._all(tasks, _FAREWELL, hurried=True)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _all(self, tasks: Sequence[asyncio.Task[None]], seconds: float, hurried: bool = False) -> None:
        """Waits until all have ended, or the time is up, or somebody is in a hurry."""
        left = [task for task in tasks if not task.done()]
        if left:
            ended = asyncio.ensure_future(asyncio.wait(left))
            await _first(() if hurried else (self._hurry,), (ended,), seconds)
            ended.cancel()

    def _signalled(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()


class _Server(uvicorn.Server):
    """One service's; who ends it is `_Run`, so signals and uvicorn's own deadline are out of play."""

    def __init__(self, service: Service, limits: Limits) -> None:
        try:
            self._app = _Guarded(service.create_app())
        except ConfigError as error:
            raise SetUpError(str(error)) from None
        super().__init__(
            uvicorn.Config(
                self._app,
                http=http11(limits, service.connections),
                backlog=_ACCEPTED_AT_ONCE if len(service.connections.each()) == 1 else 1,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=service.date_header,
                proxy_headers=False,  # nothing asks who the client is, so none of its headers need be believed
                ws="none",
                # Longer than any client keeps an idle connection, or it would be closed while being reused.
                timeout_keep_alive=75,
            )
        )
        self.service = service
        self.up = asyncio.Event()
        self._stopping = False

    @property
    def requests(self) -> int:
        """How many are under way."""
        return len(self.server_state.tasks)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def live(self) -> None:
        """From the start to the end. Raises `SetUpError` when it can't be started."""
        name = self.service.name
        try:
            await self.serve(sockets=[self.service.sock])
        except SystemExit:  # how uvicorn says that the start failed
            pass
        except OSError as error:
            # Two that start at once may both bind; only the first may listen.
            if error.errno != errno.EADDRINUSE:
                raise
            host, port = self.service.sock.getsockname()[:2]
            raise _taken(host, port, error) from None
        finally:
            await self._app.end()
        if self.started or self._stopping:
            return
        reason = _reason(self._app.failure) if self._app.failure is not None else "for a reason unknown"
        raise SetUpError(f"memory-proxy {name} could not start: {reason}")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self.service.sock.listen(_BACKLOG)
            self.up.set()

    def stop(self) -> None:
        """No new connections; readiness says so on those that are open. A start under way is given up."""
        self._stopping = self.should_exit = True
        self._app.draining.begin()
        if not self.started:
            self._app.cancel()

    def cut(self) -> None:
        """Tell requests that are served that they have no more time."""
        self._app.draining.cut()

    def cut_off(self) -> None:
        """Close the connections that are still open."""
        for connection in tuple(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def cancel_requests(self) -> None:
        """Cancel the requests that went on although they were told to end."""
        for task in tuple(self.server_state.tasks):
            task.cancel()


class _Guarded:
    """The app: its requests know when they must end; what ended its start is kept, and told once.

    uvicorn alone would log it as two tracebacks.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lifespan: asyncio.Task[object] | None = None
        self.draining = Draining()
        self.failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.draining.enter(scope)
            await self._app(scope, receive, send)
            return

        self._lifespan = asyncio.current_task()
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                message = {**message, "message": ""}
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except BaseException as error:
            if not started:
                self.failure = error
            raise

    def cancel(self) -> None:
        """Gives up a start, or a stop; what the app has opened it closes."""
        if self._lifespan is not None:
            self._lifespan.cancel()

    async def end(self) -> None:
        """Waits until the app has closed what it opened, also when uvicorn has forgotten it."""
        if self._lifespan is not None and not self._lifespan.done():
            self._lifespan.cancel()
            await asyncio.wait([self._lifespan])


class _LoopErrors:
    """Logs what the event loop complains about; that no file can be opened, which it says thousands of times, once."""

    def __init__(self) -> None:
        self._complained = -math.inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, ValueError) and "_start_serving" in context.get("message", ""):
            return  # one of those tries, after the end
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif loop.time() >= self._complained + _COMPLAINED_EVERY:
            self._complained = loop.time()
            _log.error("new connections have to wait: %s; raise `ulimit -n`", error.strerror)


def _reason(failure: BaseException) -> str:
    if type(failure).__module__.startswith("proxies."):
        return str(failure)
    # Nothing that we foresaw, so the place matters.
    return "".join(traceback.format_exception(failure))


async def _first(
    events: Iterable[asyncio.Event], tasks: Iterable[asyncio.Future[Any]], seconds: float | None = None
) -> None:
    """Waits until one of them has happened or ended, or so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([*waits, *tasks], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


@contextlib.contextmanager
def _handled_signals(handle: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as removing:
        with contextlib.suppress(NotImplementedError):  # Windows, where Ctrl+C cancels what runs
            for number in _SIGNALS:
                loop.add_signal_handler(number, handle)
                removing.callback(loop.remove_signal_handler, number)
        yield

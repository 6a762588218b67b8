"""A memory proxy that does what a test says, byte by byte, and remembers what it received."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import httpx
import uvicorn

from proxies.interceptor.app import USER_HEADER, create_app
from proxies.server import serving

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Received:
    """One request; `body` grows while it is read."""

    line: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    async def read_body(self) -> None:
        if self.all("transfer-encoding"):
            while await self.read_chunk():
                pass
        else:
            self.body = await self.reader.readexactly(int((self.all("content-length") or ["0"])[0]))

    async def read_chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        chunk = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        self.body += chunk
        return chunk

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def gone(self) -> None:
        """Returns when the other side has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Answer = Callable[[Received], Awaitable[None]]


async def answer_ok(request: Received) -> None:
    await request.read_body()
    await request.send(OK)


@dataclass
class Upstream:
    """`answer` is called for each request; a connection carries one after the other until it is closed."""

    answer: Answer = answer_ok
    received: list[Received] = field(default_factory=list)
    url: str = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Upstream]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while not writer.is_closing():
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                    rows = [line.partition(":") for line in head[1:] if line]
                    headers = [(name, value.strip()) for name, _, value in rows]
                    self.received.append(Received(head[0], headers, reader, writer))
                    await self.answer(self.received[-1])
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Background(uvicorn.Server):
    """Leaves signals to the tests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def intercepted(
    upstream: str, user_id: str = "shop", user_header: str = USER_HEADER
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an interceptor on a real socket, that adds no header of its own but `host`."""
    app = create_app(upstream, user_id, user_header=user_header)
    with serving.bind("127.0.0.1", 0) as sock:
        server = _Background(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                log_config=None,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=5,  # a test that fails ends
            )
        )
        task = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=serving.url_of(sock), timeout=10) as client:
                client.headers.clear()
                yield client
        finally:
            server.should_exit = True
            await task


async def raw(client: httpx.AsyncClient, request: bytes) -> bytes:
    """What comes back for these very bytes, until the connection is closed."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def free_range(size: int) -> tuple[int, int]:
    """The ends of a range of ports that nothing uses at this moment, below those of outgoing connections."""
    while True:
        low = random.randrange(10_000, 32_000 - size)
        with contextlib.ExitStack() as probes:
            try:
                for port in range(low, low + size):
                    probes.enter_context(socket.socket()).bind(("", port))
            except OSError:
                continue
            return low, low + size - 1

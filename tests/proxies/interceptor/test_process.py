"""`memory-proxy interceptor` as the process that it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from proxies.interceptor.ports import PortRegistry
from proxies.interceptor.project import default_user_id
from tests.proxies.interceptor.fakes import Received, Upstream, free_range
from tests.root import ROOT

WAIT = 30
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, with a registry of its own."""
    for name in ("INTERCEPTOR_PORT", "INTERCEPTOR_UPSTREAM", "INTERCEPTOR_USER_ID"):
        monkeypatch.delenv(name, raising=False)
    low, high = free_range(5)
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(tmp_path / "ports.json"))
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", str(low))
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", str(high))
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().serving() as serving:
        yield serving


class Process:
    """`memory-proxy interceptor …`; `said` is its stderr so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def url(self) -> str:
        while (found := re.search(r"listening on (http://\S+)", self.said)) is None:
            assert await self.line(), self.said
        return found[1]

    async def line(self) -> str:
        assert self.process.stderr is not None
        line = (await asyncio.wait_for(self.process.stderr.readline(), WAIT)).decode()
        self.said += line
        return line

    async def ended(self) -> int:
        while await self.line():
            pass
        return await asyncio.wait_for(self.process.wait(), WAIT)


@contextlib.asynccontextmanager
async def started(*arguments: object) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxies", "interceptor", *map(str, arguments)),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    try:
        yield Process(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def refused(url: str) -> None:
    """Returns when nobody listens there any more."""
    address = httpx.URL(url)
    async with asyncio.timeout(WAIT):
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                _, writer = await asyncio.open_connection(address.host, address.port)
                writer.close()
                await asyncio.sleep(0.01)


async def test_a_process_on_the_projects_port(shop: Path, upstream: Upstream) -> None:
    """It listens on the port that the registry names, as the project's user, and `check` sees it serve."""
    async with started("--project", shop, "--upstream", upstream.url) as process:
        url = await process.url()
        registry = PortRegistry()
        [row] = registry.check()
        assert (row.project, row.state, row.problems) == (str(shop), "serving", ())
        assert url == f"http://127.0.0.1:{row.port}"
        async with httpx.AsyncClient() as client:
            answered = await client.get(f"{url}/health")
            assert set(answered.headers) == {"content-type", "content-length"}, (
                "all of them the memory proxy's"
            )
        assert upstream.received[0].all("x-memory-user-id") == [default_user_id(shop)]
        process.process.kill()
        await process.ended()
        assert not registry.is_served(row.port), "also after kill -9"
    assert process.said.splitlines() == [
        f"memory-proxy interceptor: listening on {url} for {shop} as {default_user_id(shop)}, "
        f"upstream {upstream.url}"
    ]


async def test_sigterm_lets_streams_end(shop: Path, upstream: Upstream) -> None:
    """An answer under way arrives whole, new connections are refused, then the process ends without a complaint."""
    go_on = asyncio.Event()

    async def answer(request: Received) -> None:
        await request.send(SSE, b"6\r\nfirst\n\r\n")
        await asyncio.wait_for(go_on.wait(), WAIT)
        await request.send(b"5\r\nlast\n\r\n0\r\n\r\n")

    upstream.answer = answer
    async with (
        started("--project", shop, "--upstream", upstream.url) as process,
        httpx.AsyncClient() as client,
    ):
        url = await process.url()
        async with client.stream("GET", url) as stream:
            pieces = stream.aiter_raw()
            assert await anext(pieces) == b"first\n"
            process.process.send_signal(signal.SIGTERM)
            await refused(url)
            go_on.set()
            assert await anext(pieces) == b"last\n"
        assert await process.ended() == 0
    assert process.said.count("\n") == 1, process.said


async def test_a_port_that_is_taken(shop: Path, upstream: Upstream) -> None:
    """Exit code 2 and what to do; another interceptor of the same project is told as such."""
    registry = PortRegistry()
    port = registry.get_or_allocate_port(shop)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        async with started("--project", shop, "--upstream", upstream.url) as process:
            assert await process.ended() == 2
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in process.said
    assert f"`memory-proxy ports remove {shop}` lets it get a new one" in process.said
    arguments = ("--project", shop, "--upstream", upstream.url)
    async with started(*arguments) as first:
        await first.url()
        async with started(*arguments) as second:
            assert await second.ended() == 2
    assert second.said == f"Error: an interceptor listens on port {port} already\n"


async def test_an_answer_that_breaks_off_is_logged_once(shop: Path, upstream: Upstream) -> None:
    """One line that says who broke off, and no traceback."""

    async def answer(request: Received) -> None:
        await request.send(SSE, b"6\r\nfirst\n\r\n")
        request.writer.close()

    upstream.answer = answer
    async with (
        started("--project", shop, "--upstream", upstream.url) as process,
        httpx.AsyncClient() as client,
    ):
        url = await process.url()
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{url}/v1/models")
        process.process.terminate()
        assert await process.ended() == 0
    [_, line] = process.said.splitlines()
    assert "GET /v1/models: the memory proxy broke off in the middle of its answer" in line


async def test_when_the_grace_is_over(shop: Path, upstream: Upstream) -> None:
    """What still waits for its answer is told so, in the envelope."""
    asked = asyncio.Event()

    async def answer(request: Received) -> None:
        asked.set()
        await request.gone()

    upstream.answer = answer
    arguments = ("--project", shop, "--upstream", upstream.url, "--grace", 0.1)
    async with started(*arguments) as process, httpx.AsyncClient() as client:
        waiting = asyncio.create_task(client.get(f"{await process.url()}/v1/models", timeout=WAIT))
        await asyncio.wait_for(asked.wait(), WAIT)
        process.process.terminate()
        answered = await waiting
        assert (answered.status_code, answered.json()["error"]["code"]) == (503, "service_unavailable")
        assert await process.ended() == 0

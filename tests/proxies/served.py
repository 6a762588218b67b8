"""Serves applications for tests, as a process of its own: `python -m tests.proxies.served NAME… --grace SECONDS`.

    steady   a proxy whose streams send a chunk, wait for the file GO and end; its plain answers never come
    narrow   the same, for one request at a time
    flood    a proxy whose streams send chunks for ever
    slow     an app that never gets through its start
    broken   an app that fails to start
    who      answers with the number of its process; at /wait once the file GO is there; puts a file `waiting-…`
    dying    answers as `who`, and ends soon after that it has started

Prints a line with the URLs when all of them answer, and `NAME closed` for each that was closed. With --workers COUNT
several processes serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from fastapi import FastAPI
from starlette.types import ASGIApp

from proxies.front.app import build_app
from proxies.server import workers
from proxies.server.serving import Service, bind
from proxies.shared import Shared
from tests.proxies.front.fakes import FakeBackend, FakeStream, make_config

CHUNK = {"id": "1", "choices": [{"index": 0, "delta": {"content": "Hello" * 1000}}]}


class _Backend(FakeBackend):
    def __init__(self, name: str) -> None:
        super().__init__(hang=True)
        self._name = name

    async def stream(self, call: Any) -> FakeStream:
        return _Endless(self._name)

    async def aclose(self) -> None:
        print(self._name, "closed", flush=True)


class _Endless(FakeStream):
    def __init__(self, name: str) -> None:
        super().__init__((), {})
        self._name = name

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        yield CHUNK
        while self._name == "flood" or not Path(os.environ["GO"]).exists():
            if self._name == "flood":
                yield CHUNK
            await asyncio.sleep(0 if self._name == "flood" else 0.005)


def _app(name: str, shared: Shared) -> ASGIApp:
    if name in ("steady", "narrow", "flood"):
        limits = {"max_concurrent_requests": 1} if name == "narrow" else {}
        return build_app(make_config(limits=limits), _Backend(name), shared=shared)
    if name in ("who", "dying"):
        return _who(dying=name == "dying")

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            if name == "broken":
                raise RuntimeError("api_key=hunter22 does not work")
            print(name, "starting", flush=True)
            await asyncio.Event().wait()
            yield
        finally:
            print(name, "closed", flush=True)

    return FastAPI(lifespan=lifespan)


def _who(*, dying: bool) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if dying:
            asyncio.get_running_loop().call_later(0.3, os._exit, 3)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def who() -> int:
        return os.getpid()

    @app.get("/wait")
    async def wait() -> int:
        go = Path(os.environ["GO"])
        go.with_name(f"waiting-{os.getpid()}-{uuid4()}").touch()
        while not go.exists():
            await asyncio.sleep(0.005)
        return os.getpid()

    return app


@click.command()
@click.argument("names", nargs=-1)
@click.option("--grace", type=float)
@click.option("--workers", "count", default=1)
def main(names: tuple[str, ...], grace: float, count: int) -> None:
    logging.basicConfig(level="WARNING")
    with workers.shared_by(count) as shared:
        services = [
            Service(
                name, lambda name=name: _app(name, shared), bind("127.0.0.1", 0), connections=shared.count()
            )  # type: ignore[misc]
            for name in names
        ]
        workers.serve(
            services, shared, grace=grace, announce=lambda: print(*(s.url for s in services), flush=True)
        )


if __name__ == "__main__":
    sys.exit(main())

"""Wraps a proxy in this process in a synchronous client, which knows the proxy's key."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from parity.kit.guard import Guard
from parity.kit.mistakes import Notebook
from parity.kit.stubs import client_headers


class ProxyClient(TestClient):
    """Extends Starlette's `TestClient`: `post`, `get`, `stream`, … answer with an httpx response.

    `name` is `binary` or `sdk`, `proxy` the application. A mistake in the test's mocks is raised by the call that
    met it.
    """

    def __init__(self, name: str, app: ASGIApp, key: str, guard: Guard, notebook: Notebook) -> None:
        super().__init__(
            _Remembering(app),
            base_url="http://proxy.invalid",
            headers={"authorization": f"Bearer {key}"},
            raise_server_exceptions=False,
        )
        self.name = name
        self.proxy = app
        self._guard = guard
        self._notebook = notebook

    def send(self, *args: Any, **options: Any) -> Any:
        with self._guard.watching():
            response = super().send(*args, **options)
        self._notebook.raise_new()
        return response


class _Remembering:
    """Passes the client's request headers to the mocks: the proxy itself forwards only a few of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client_headers.set(
                {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            )
        await self._app(scope, receive, send)

"""A gateway in front of the stub provider that hands everything on, frame by frame, and real servers made of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from parity.gateways.profile import Profile
from tests.miniature import whole

NOT_HANDED_ON = {b"connection", b"transfer-encoding", b"keep-alive", b"content-length", b"host"}
ENDS = (b"\n\n", b"\r\n\r\n")
CALLS = 4
"""How often the relay may call the provider for one request, where a mistake makes it call again."""


class Relay:
    """Hands a request on to the provider, and the answer back; what breaks there breaks here."""

    def __init__(self, provider: str, *, patient: bool = False) -> None:
        self._provider = provider
        self._patient = patient

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await whole(receive)
        answering = asyncio.ensure_future(self._answer(scope, body, send))
        gone = asyncio.ensure_future(_gone(receive))
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if not answering.done() and not self._patient:
            answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        headers = [(k, v) for k, v in scope["headers"] if k not in NOT_HANDED_ON]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        url = f"{self._provider}{scope['raw_path'].decode()}{query}"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            request = client.build_request(scope["method"], url, headers=headers, content=body)
            response = await client.send(request, stream=True)
            async with contextlib.aclosing(response):
                kept = [(k.lower(), v) for k, v in response.headers.raw if k.lower() not in NOT_HANDED_ON]
                await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
                rest = b""
                async for piece in response.aiter_raw():
                    rest += piece
                    while any(end in rest for end in ENDS) and "encoding" not in str(kept):
                        frame, end, rest = min(
                            (rest.partition(end) for end in ENDS if end in rest), key=_length
                        )
                        await send({"type": "http.response.body", "body": frame + end, "more_body": True})
                await send({"type": "http.response.body", "body": rest, "more_body": False})


def _length(parts: tuple[bytes, bytes, bytes]) -> int:
    return len(parts[0])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def in_thread(make: Callable[[str], ASGIApp]) -> Callable[..., Any]:
    """How `judge_gateway` runs an application of a test: on a socket, by uvicorn, in a thread."""

    @contextlib.contextmanager
    def run(_profile: Profile, _home: Path, values: Mapping[str, Any]) -> Iterator[str]:
        app = make(values["provider"])
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                threading.Event().wait(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()

    return run

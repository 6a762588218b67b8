"""Wraps a session that a test made by hand, such as an `AsyncMock()`: used as it is, its answers checked."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import httpx

from parity.kit import checks
from parity.kit.mistakes import MockMistake, Notebook
from parity.kit.stubs import Asked

_EXAMPLE = "patch('httpx.AsyncClient', return_value=mock_httpx_client)"


class ForeignSession:
    """Stands in for `session` and checks what it returns. `seam`: where the test put it."""

    def __init__(self, session: Any, notebook: Notebook, seam: str) -> None:
        self._session = session
        self._notebook = notebook
        self._seam = seam

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def request(self, **options: Any) -> Any:
        return await self._looked_at("request", self._session.request(**options), _asked(options))

    async def post(self, url: str, **options: Any) -> Any:
        result = self._session.post(url, **options)
        return await self._looked_at("post", result, Asked("POST", httpx.URL(url).path))

    async def send(self, request: Any, **options: Any) -> Any:
        asked = Asked(str(request.method), httpx.URL(str(request.url)).path)
        return await self._looked_at("send", self._session.send(request, **options), asked)

    async def _looked_at(self, method: str, result: Any, asked: Asked) -> Any:
        if not inspect.isawaitable(result):
            raise self._mistake(
                f"gives a client whose {method}() returns {checks.kind_of(result)} instead of a coroutine. The proxy "
                f"awaits {method}() of the client itself, without `async with`. Write {_EXAMPLE}, or set {method} to "
                "AsyncMock(return_value=MockHTTPResponse(200, …))."
            )
        response = await result
        if wrong := checks.http_response(response, asked, f"{self._seam}: {method}()"):
            raise self._notebook.mistake(wrong)
        return response

    def stream(self, **options: Any) -> Any:
        result = self._session.stream(**options)
        if inspect.iscoroutine(result):
            result.close()
            raise self._mistake(
                "gives a client whose stream() is a coroutine function, as every method of an AsyncMock is. httpx's "
                "stream() is entered with `async with`, not awaited. Use the fixture mock_streaming_response, or set "
                "client.stream = MagicMock() and client.stream.return_value.__aenter__.return_value = "
                "MockHTTPResponse(chunks=mock_streaming_chunks_sequence('Hello'))."
            )
        if not hasattr(type(result), "__aenter__"):
            raise self._mistake(
                f"gives a client whose stream() returns {checks.kind_of(result)}, which `async with` can't enter. "
                "Use the fixture mock_streaming_response."
            )
        return _Entered(result, self, _asked(options))

    def _mistake(self, what: str) -> MockMistake:
        return self._notebook.mistake(f"{self._seam} {what}")


class _Entered:
    def __init__(self, context: Any, session: ForeignSession, asked: Asked) -> None:
        self._context = context
        self._session = session
        self._asked = asked

    async def __aenter__(self) -> Any:
        response = await self._context.__aenter__()
        session = self._session
        if wrong := checks.http_response(response, self._asked, f"{session._seam}: stream()"):
            raise session._notebook.mistake(wrong)
        return response if isinstance(response, httpx.Response) else _ForeignResponse(response, session)

    async def __aexit__(self, *error: Any) -> Any:
        return await self._context.__aexit__(*error)


class _ForeignResponse:
    def __init__(self, response: Any, session: ForeignSession) -> None:
        self._response = response
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        pieces = self._response.aiter_bytes()
        if inspect.iscoroutine(pieces):
            pieces.close()
        if not hasattr(type(pieces), "__aiter__") or inspect.iscoroutine(pieces):
            raise self._session._mistake(
                f"gives a response whose aiter_bytes() returns {checks.kind_of(pieces)}, which is no async iterator. "
                "Answer with MockHTTPResponse(chunks=mock_streaming_chunks_sequence('Hello'))."
            )
        async for piece in pieces:
            yield piece


def _asked(options: dict[str, Any]) -> Asked:
    request = httpx.Request(
        options["method"], options["url"], headers=options.get("headers"), content=options.get("content")
    )
    return Asked.of_request(request, streaming=False, by_litellm=True)

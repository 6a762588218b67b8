"""Checks what a test patched in at the seams, when a client of the kit makes a request and it is used.

httpx.AsyncClient               a Mock stays what the proxy calls, and isinstance still works
httpx.AsyncHTTPTransport        nothing goes out to a network: that is a mistake, explained
…SessionManager.get_session     must be awaitable, and give what the proxy can call
litellm.acompletion, acreate    must be awaitable, and return what LiteLLM returns
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import NonCallableMock, patch

import httpx

from parity.kit import checks
from parity.kit.client import GENUINE
from parity.kit.foreign import ForeignSession
from parity.kit.mistakes import Notebook
from parity.kit.stubs import Asked
from parity.targets import arms, deployments
from parity.targets.arms import SDK_FUNCTIONS

MANAGERS = arms.session_managers()
_GET_SESSION = {name: manager.get_session for name, manager in MANAGERS.items()}  # type: ignore[attr-defined]
BY_KIT = "by_parity_kit"
"""The mark of the kit's own `get_session`."""

_INSTEAD = {
    "litellm.completion": "the proxy awaits litellm.acompletion: patch that",
    "litellm.Router.acompletion": "the proxy awaits litellm.acompletion: patch that",
    "httpx.AsyncClient.post": "the proxy calls request() and stream(): patch httpx.AsyncClient itself",
    "httpx.AsyncClient.get": "the proxy calls request() and stream(): patch httpx.AsyncClient itself",
    "httpx.Client": "the proxy uses httpx.AsyncClient: patch that",
    "httpx.Client.post": "the proxy uses httpx.AsyncClient: patch that",
    "httpx.post": "the proxy uses httpx.AsyncClient: patch that",
    "requests.post": "the proxy uses httpx.AsyncClient: patch that",
}
"""Names whose patching has no effect, and the name to patch instead."""


class Guard:
    """Watches the seams for one test; shared by its clients, which may call at the same time."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._lock = threading.Lock()
        self._depth = 0
        self._installed = ExitStack()
        self._instead: dict[tuple[int, int], Any] = {}
        self._sessions: list[Any] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        with self._lock:
            if self._depth == 0:
                self._install()
            self._depth += 1
        try:
            yield
        finally:
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    self._installed.close()

    def _install(self) -> None:
        enter = self._installed.enter_context
        given = httpx.AsyncClient
        for name, manager in MANAGERS.items():
            enter(patch.object(manager, "get_session", self._get_session(name, manager, given)))
        enter(patch("httpx.AsyncClient", self._client_class(given)))
        if isinstance(httpx.AsyncHTTPTransport, type):
            enter(patch("httpx.AsyncHTTPTransport", self._no_network))
        if "litellm" in sys.modules:
            for route, place in SDK_FUNCTIONS.items():
                function = pkgutil.resolve_name(place)
                if not (inspect.isfunction(function) and function.__module__.startswith("litellm")):
                    enter(patch(place, self._checked(function, route, place)))

    def _client_class(self, given: Any) -> Any:
        """Return `httpx.AsyncClient` as libraries need it: a class that knows its instances, mocked ones too."""
        if isinstance(given, type) and given is not GENUINE:
            return given
        return _ClientClass("AsyncClient", (GENUINE,), {"given": given, "sessions": self._sessions})

    def _get_session(self, name: str, manager: type, given: Any) -> Callable[..., Awaitable[Any]]:
        present: Any = manager.get_session  # type: ignore[attr-defined]
        seam = f"proxies.sessions.{manager.__name__}.get_session"

        by_kit = present is _GET_SESSION[name] or (inspect.isfunction(present) and hasattr(present, BY_KIT))

        async def get_session(own: Any, upstream: str, user_id: str) -> Any:
            if by_kit and given is not GENUINE:  # patched by the test, and so more recent than what is kept
                session = await self._of_patch(own, given, upstream, user_id)
            else:
                bound = inspect.isfunction(present)
                result = present(own, upstream, user_id) if bound else present(upstream, user_id)
                fixture = "mock_litellm_session" if name == "sdk" else "mock_httpx_client"
                if wrong := checks.not_awaitable(result, seam, f"return_value={fixture}"):
                    raise self._notebook.mistake(wrong)
                session = await result
            return self._usable(name, session, seam if not by_kit else "httpx.AsyncClient")

        return get_session

    async def _of_patch(self, own: Any, given: Any, upstream: str, user_id: str) -> Any:
        """Return a session from a new manager, which has only ever met the patched-in `httpx.AsyncClient`."""
        key = (id(own), id(given))
        if key not in self._instead:
            self._instead[key] = type(own)()
        return await _GET_SESSION["binary"](self._instead[key], upstream, user_id)

    def _usable(self, name: str, session: Any, seam: str) -> Any:
        if type(session) is GENUINE or isinstance(type(session), _ClientClass):
            return session
        if name != "sdk":
            return ForeignSession(session, self._notebook, seam)
        if not isinstance(session, GENUINE):
            function = pkgutil.resolve_name(SDK_FUNCTIONS["chat/completions"])
            if getattr(function, "__module__", "").startswith("litellm"):
                raise self._notebook.mistake(
                    f"{seam} gives {checks.kind_of(session)}, through which LiteLLM can't call a provider. Use the "
                    "fixture mock_litellm_session, or also patch 'litellm.acompletion' (mock_litellm_completion)."
                )
            self._sessions.append(session)
        return session

    def _no_network(self, **_: Any) -> httpx.AsyncBaseTransport:
        return _NoNetwork(self._notebook)

    def _checked(self, function: Any, route: str, seam: str) -> Callable[..., Awaitable[Any]]:
        example = "mock_model_response('Hello')" if route != "messages" else "mock_message_response('Hello')"

        async def checked(**arguments: Any) -> Any:
            result = function(**arguments)
            if wrong := checks.not_awaitable(result, seam, f"return_value={example}"):
                raise self._notebook.mistake(wrong)
            value = await result
            asked = Asked("POST", f"/v1/{route}", arguments, streamed=bool(arguments.get("stream")))
            if wrong := checks.sdk_value(value, asked, seam):
                raise self._notebook.mistake(wrong)
            return _CheckedStream(value, asked, seam, self._notebook) if asked.streamed else value

        return checked


class _ClientClass(type):
    """Stands in for the class of `httpx.AsyncClient` while the guard watches. Classes derived from it are
    ordinary.
    """

    def __call__(cls, *args: Any, **options: Any) -> Any:
        given = vars(cls).get("given", GENUINE)
        return super().__call__(*args, **options) if given is GENUINE else given(*args, **options)

    def __instancecheck__(cls, value: Any) -> bool:
        if "given" not in vars(cls):
            return super().__instancecheck__(value)
        return isinstance(value, GENUINE) or any(value is session for session in vars(cls)["sessions"])


class _NoNetwork(httpx.AsyncBaseTransport):
    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._notebook.mistake(_nobody(request))


def _nobody(request: httpx.Request) -> str:
    asked = f"{request.method} {request.url}"
    if request.url.host == httpx.URL(deployments.LITELLM_URL).host:
        text = (
            f"Nothing stands in for the LiteLLM process, so {asked} would go out to a network. Add the fixture "
            "mock_httpx_client to the test, or write patch('httpx.AsyncClient', return_value=…)."
        )
    elif request.url.path.endswith("/v4/profile"):
        text = (
            f"Nothing stands in for the memory store, so {asked} would go out to a network. Add the fixture "
            "mock_supermemory_api to the test."
        )
    else:
        text = (
            f"Nothing stands in for the provider, so {asked} would go out to a network. Add the fixture "
            "mock_litellm_completion or mock_litellm_session to the test, or write "
            "patch('litellm.acompletion', AsyncMock(return_value=mock_model_response('Hello')))."
        )
    useless = [f"{name} is patched, but {instead}." for name, instead in _INSTEAD.items() if _is_mocked(name)]
    return " ".join([text, *useless])


def _is_mocked(name: str) -> bool:
    if name.partition(".")[0] not in sys.modules:
        return False
    try:
        return isinstance(pkgutil.resolve_name(name), NonCallableMock)
    except (ImportError, AttributeError):
        return False


class _CheckedStream:
    """Wraps a stream that a test patched in, and checks its items as they come."""

    def __init__(self, stream: Any, asked: Asked, seam: str, notebook: Notebook) -> None:
        self._stream = stream
        self._told = (asked, seam, notebook)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        asked, seam, notebook = self._told
        async for chunk in self._stream:
            if wrong := checks.sdk_chunk(chunk, asked, seam):
                raise notebook.mistake(wrong)
            yield chunk

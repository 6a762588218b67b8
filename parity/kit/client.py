"""Mocks an HTTP client: a genuine `httpx.AsyncClient` without a network, whose methods are mocks."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from unittest.mock import DEFAULT, AsyncMock, MagicMock

import httpx

from parity.kit import bodies, checks
from parity.kit.answer_methods import Answering
from parity.kit.completion import Completion, Refusal
from parity.kit.http_answers import Content, MockHTTPResponse, http_answer
from parity.kit.mistakes import MockMistake, Notebook
from parity.kit.stubs import Asked, Said, Stubs, When, endpoint
from parity.observation.model import UpstreamCall
from parity.recording import calls
from parity.targets import arms, deployments
from parity.targets.doubles import LIVENESS

GENUINE = httpx.AsyncClient

_read_as_stream: ContextVar[bool] = ContextVar("read_as_stream", default=False)


class MockAsyncClient(GENUINE, Answering):
    """Stands in for `httpx.AsyncClient`: patch it in, or let the session managers hand it out.

    Without stubs it answers chat completions, messages, models, health and routing info, as recorded, with the
    model that was asked for. `request`, `stream` and `send` are mocks: `client.request.call_args.kwargs` has
    `method`, `url`, `headers`, `content`. `calls` has every request in one form. Cookies work; closing does nothing.
    """

    if TYPE_CHECKING:
        request: AsyncMock
        stream: MagicMock
        send: AsyncMock
        aclose: AsyncMock

    def __init__(self, notebook: Notebook, name: str = "mock_httpx_client") -> None:
        super().__init__(transport=_ToStubs(self), base_url=deployments.LITELLM_URL, trust_env=False)
        self.stubs = Stubs(notebook, name)
        self.calls: list[UpstreamCall] = []
        self._plug("request", AsyncMock(name=f"{name}.request"), GENUINE.request)
        self._plug("send", AsyncMock(name=f"{name}.send"), GENUINE.send)
        self._plug("stream", MagicMock(name=f"{name}.stream"), GENUINE.stream)
        self.aclose = AsyncMock(name=f"{name}.aclose")

    def _plug(self, method: str, mock: Any, genuine: Any) -> None:
        """Return the method as a mock that calls the genuine one until a test gives it a `return_value`."""
        if isinstance(mock, AsyncMock):
            unset: Any = _Unset(self.stubs.notebook, f"{self.stubs.name}.{method}")

            async def called(*args: Any, **kwargs: Any) -> Any:
                if mock.return_value is not unset:
                    return DEFAULT
                token = _read_as_stream.set(kwargs.get("stream", _read_as_stream.get()))
                try:
                    return await genuine(self, *args, **kwargs)
                finally:
                    _read_as_stream.reset(token)
        else:
            unset = MagicMock()
            entered = unset.__aenter__.return_value

            def called(*args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
                untouched = mock.return_value is unset and unset.__aenter__.return_value is entered
                return genuine(self, *args, **kwargs) if untouched else DEFAULT

        mock.return_value = unset
        mock.side_effect = called
        setattr(self, method, mock)

    def responds(
        self,
        content: Content = None,
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
        broken: bool = False,
        when: When | None = None,
    ) -> None:
        """Answer with this response, at every endpoint or at `path` alone. `broken`: see `MockHTTPResponse`."""
        response = MockHTTPResponse(status_code, content, headers, broken=broken)
        shown = f"responds(status_code={status_code}" + (f", path={path!r})" if path else ")")
        self.stubs.add(shown, lambda asked: response.fresh(), when, _about(path))

    async def answer_to(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as the client's transport."""
        await request.aread()
        by_litellm = request.url.host == httpx.URL(deployments.LITELLM_URL).host
        asked = Asked.of_request(request, streaming=_read_as_stream.get(), by_litellm=by_litellm)
        self.calls.append(calls.from_http(request))
        stub = self.stubs.find(asked)
        said: Said
        if stub is None:
            said = self._by_itself(asked)
        elif isinstance(stub.answer, Completion | Refusal):
            said = stub.answer
        else:
            said = stub.answer(asked)
        response = _as_response(said, asked)
        if wrong := checks.http_response(response, asked, str(stub or self.stubs.name)):
            raise self.stubs.notebook.mistake(wrong)
        return response

    def _by_itself(self, asked: Asked) -> Said:
        if (response := self.stubs.fallback(asked)) is not None:
            return response
        match asked.endpoint:
            case "chat/completions" | "messages":
                return bodies.HELLO
            case "models" if asked.method == "GET":
                return MockHTTPResponse(200, bodies.mock_models_list())
            case "health" | "health/":
                return MockHTTPResponse(200, {"status": "healthy"})
            case "health/readiness":
                return MockHTTPResponse(200, {"status": "ready"})
            case "memory-routing/info":
                return MockHTTPResponse(200, arms.routing_info(asked.headers, {}))
        if asked.path == LIVENESS:
            return httpx.Response(200, json="I'm alive!")
        raise self.stubs.notebook.mistake(_nothing(self.stubs.name, asked))

    async def get(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("GET", url, options)

    async def options(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("OPTIONS", url, options)

    async def head(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("HEAD", url, options)

    async def post(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("POST", url, options)

    async def put(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("PUT", url, options)

    async def patch(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("PATCH", url, options)

    async def delete(self, url: Any, **options: Any) -> httpx.Response:
        return await self._named("DELETE", url, options)

    async def _named(self, method: str, url: Any, options: dict[str, Any]) -> httpx.Response:
        response: httpx.Response = await self.request(method=method, url=url, **options)
        return response

    def __call__(self, *args: Any, **options: Any) -> MockAsyncClient:
        """Return the client itself, for `patch("httpx.AsyncClient", client)`, which forgets `return_value=`."""
        return self

    async def __aenter__(self) -> MockAsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the client open: it may be entered any number of times."""


class _ToStubs(httpx.AsyncBaseTransport):
    def __init__(self, client: MockAsyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.answer_to(request)


class _Unset:
    """Marks the `return_value` of a mocked method until a test assigns one."""

    def __init__(self, notebook: Notebook, method: str) -> None:
        object.__setattr__(self, "_told", (notebook, method))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._mistake(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise self._mistake(name)

    def _mistake(self, name: str) -> MockMistake:
        notebook, method = object.__getattribute__(self, "_told")
        sentence = (
            f"{method}.return_value.{name} is set, but there is no return_value yet. Assign a whole response, "
            f"{method}.return_value = MockHTTPResponse(200, {{…}}), or call configure_mock_httpx_response(client, …)."
        )
        mistake: MockMistake = notebook.mistake(sentence)
        return mistake


def configure_mock_httpx_response(
    client: MockAsyncClient,
    *,
    status_code: int = 200,
    content: Content = None,
    headers: Mapping[str, str] | None = None,
    path: str | None = None,
    broken: bool = False,
) -> None:
    """Make `client` answer every request, or those for `path`, with this from now on.

    An object becomes JSON.

    `broken=True` where an empty or nonsensical body is what the test is about.
    """
    response = MockHTTPResponse(status_code, content, headers, broken=broken)
    shown = f"configure_mock_httpx_response({client.stubs.name}, status_code={status_code})"
    client.stubs.put(shown, lambda asked: response.fresh(), _about(path))


def _about(path: str | None) -> tuple[str, ...] | None:
    return None if path is None else (endpoint(path),)


def _as_response(said: Said, asked: Asked) -> httpx.Response:
    if isinstance(said, str):
        said = Completion(said)
    if isinstance(said, Completion | Refusal):
        route = "messages" if asked.endpoint == "messages" else "chat/completions"
        model = asked.model or (bodies.MESSAGES_MODEL if route == "messages" else bodies.MODEL)
        return http_answer(said, route, model, streamed=asked.streamed, by_litellm=asked.by_litellm)  # type: ignore[arg-type]
    return said


def _nothing(name: str, asked: Asked) -> str:
    if asked.endpoint.endswith("v4/profile"):
        return (
            f"Memories were asked for ({asked}), and {name} has none. Add the fixture mock_supermemory_api to the "
            "test, which stands in for the memory store."
        )
    known = ", ".join(["chat completions", "messages", "models", "health", "routing info"])
    return (
        f"{name} has no answer for {asked}; by itself it knows {known}. "
        f"Say what is to be answered: {name}.responds({{…}}, path={asked.path!r})."
    )

"""Calls the model over HTTP, through an external LiteLLM process.

Read it beside `proxies/sdk/backend.py`: the same functions in the same order, and only what truly differs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import httpx

from proxies.backend import Call, Forwarded, Reply
from proxies.binary.inside import UNASKED_HEADER
from proxies.binary.supervisor import Supervisor
from proxies.config.loading import litellm_key as key_of
from proxies.config.models import ProxyConfig
from proxies.counting import count_tokens
from proxies.errors import UNREACHABLE, ProxyError
from proxies.headers import from_litellm
from proxies.litellm_refusals import is_litellms_own
from proxies.provider_message import of_validation
from proxies.sessions import ProxySessionManager
from proxies.support.jsonsteps import json_between
from proxies.support.jsontext import json_object, text_or_none
from proxies.support.sse import SSEDecoder
from proxies.upstream_errors import connection_error, read_object, upstream_error

_OWN = "litellm"
"""Names the place under which the clients for a process of our own are kept."""

_GONE = "The LiteLLM process could not be reached."
_RESTARTING = "The LiteLLM process is being restarted."
_REFUSED = "The LiteLLM process refused the proxy's key."

_OVERLOADED = "server_is_overloaded"
"""The code that newer LiteLLM processes give a provider's 529, whose status they turn into 503."""


class BinaryBackend:
    """Calls through a LiteLLM process."""

    def __init__(
        self,
        config: ProxyConfig,
        litellm_url: str | None = None,
        litellm_key: str | None = None,
        sessions: ProxySessionManager | None = None,
    ) -> None:
        self._config = config
        self._process = Supervisor(config) if litellm_url is None else None
        self._given = (litellm_url or "").rstrip("/")
        self._key = litellm_key or ("" if litellm_url is None else key_of(config))
        # LiteLLM keeps the time of provider calls itself.
        self._sessions = sessions or ProxySessionManager(read_timeout=None, limits=config.limits.answers)

    async def start(self) -> None:
        if self._process is not None:
            await self._process.start()
            self._key = self._process.key

    async def check_ready(self) -> None:
        if self._process is not None and (outage := self._process.outage):
            raise ProxyError(503, f"Not ready: {outage}", headers={"retry-after": str(outage.retry_after)})
        session = await self._session("")
        try:
            answer = await session.request(method="GET", url=f"{self._url}/health/liveliness", timeout=5.0)
        except httpx.HTTPError:
            raise ProxyError(503, _GONE) from None
        if answer.status_code != 200:
            raise ProxyError(
                503, f"The LiteLLM process answers {answer.status_code} when asked for its health."
            )

    async def complete(self, call: Call) -> Reply:
        session = await self._session(call.user_id)
        try:
            answer = await session.request(method="POST", **await self._request(call))
        except httpx.HTTPError as error:
            raise connection_error(error, _GONE) from None
        if answer.status_code != 200:
            unread = answer.headers.get(UNASKED_HEADER) == "answered"
            raise self._refusal(call.route, answer.status_code, answer.text, answer.headers, unread)
        return Reply(read_object(answer.text), from_litellm(answer.headers))

    async def stream(self, call: Call) -> BinaryStream:
        session = await self._session(call.user_id)
        async with AsyncExitStack() as opened:
            try:
                answer = await opened.enter_async_context(
                    session.stream(method="POST", **await self._request(call))
                )
                if answer.status_code != 200:
                    text = (await answer.aread()).decode("utf-8", "replace")
                    # Not `unread`: a stream that began as a success may say in its first frame what failed.
                    raise self._refusal(call.route, answer.status_code, text, answer.headers)
            except httpx.HTTPError as error:
                raise connection_error(error, _GONE) from None
            return BinaryStream(answer, opened.pop_all())

    async def count(self, call: Call) -> Reply:
        group = self._config.group(call.model)
        return await count_tokens(call, group, lambda at: self._sessions.get_session(at, call.user_id))

    def sessions(self) -> dict[str, int]:
        return self._sessions.count()

    def restarts(self) -> int:
        return self._process.restarts if self._process is not None else 0

    async def forward(self, request: Forwarded) -> BinaryPassage:
        session = await self._session(request.user_id)
        query = f"?{request.query}" if request.query else ""
        headers = {**request.headers, "authorization": f"Bearer {self._key}", "accept-encoding": "identity"}
        outgoing = session.build_request(
            request.method, f"{self._url}{request.path}{query}", content=request.body, headers=headers
        )
        try:
            answer = await session.send(outgoing, stream=True)
            if answer.status_code >= 400:
                text = (await answer.aread()).decode("utf-8", "replace")
                raise self._refusal(request.path, answer.status_code, text, answer.headers)
        except httpx.HTTPError as error:
            raise connection_error(error, _GONE) from None
        return BinaryPassage(answer)

    async def aclose(self) -> None:
        await self._sessions.aclose()
        if self._process is not None:
            await self._process.stop()

    async def _session(self, user_id: str) -> httpx.AsyncClient:
        """The client of `user_id`; raises `ProxyError` while a process of our own is down."""
        if self._process is None:
            return await self._sessions.get_session(self._url, user_id)
        if outage := self._process.outage:
            raise ProxyError(503, _RESTARTING, headers={"retry-after": str(outage.retry_after)})
        # Not by its address, since it comes back at another port, and the clients with their cookies stay.
        return await self._sessions.get_session(_OWN, user_id)

    @property
    def _url(self) -> str:
        return self._given if self._process is None else self._process.url

    def _refusal(
        self, route: str, status: int, text: str, headers: Mapping[str, str], unread: bool = False
    ) -> ProxyError:
        """The error of the LiteLLM process as the client gets it; it says so where it asked no provider.

        `unread`: the provider's answer, a success, is what failed it.
        """
        unasked = headers.get(UNASKED_HEADER) == "no"
        if self._process is None and not from_litellm(headers):  # one that we didn't start says nothing
            unasked = unasked or is_litellms_own(_said(text).message)
        return _refusal(status, text, headers, route if unasked else None, unread)

    async def _request(self, call: Call) -> dict[str, Any]:
        """LiteLLM forwards `x-*` headers as they are; the others it only takes as a parameter."""
        body: dict[str, Any] = {"model": call.model, **call.params}
        as_parameter = {name: value for name, value in call.headers.items() if not name.startswith("x-")}
        if as_parameter:
            # LiteLLM takes them instead of the deployment's own, not beside them.
            body["extra_headers"] = {**self._own_headers(call.model), **as_parameter}
        headers = {name: value for name, value in call.headers.items() if name.startswith("x-")}
        headers |= {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        return {
            "url": f"{self._url}/v1/{call.route}",
            "headers": headers,
            "content": await json_between(body),
        }

    def _own_headers(self, model: str) -> dict[str, Any]:
        """The `extra_headers` that all deployments of a group have: LiteLLM alone knows which one it will take."""
        first, *others = (d.litellm_params.get("extra_headers") or {} for d in self._config.group(model))
        return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


class BinaryStream:
    """The events of a LiteLLM process as chunks."""

    def __init__(self, answer: httpx.Response, opened: AsyncExitStack) -> None:
        self._answer = answer
        self._opened = opened
        self.headers: Mapping[str, str] = from_litellm(answer.headers)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for chunk in self._chunks():
                yield chunk
        except httpx.HTTPError as error:
            raise connection_error(error, _GONE) from None

    async def _chunks(self) -> AsyncIterator[dict[str, Any]]:
        decoder = SSEDecoder()
        async for piece in self._answer.aiter_bytes():
            for event in decoder.feed(piece):
                if event.data == "[DONE]":
                    return
                yield self._chunk(event.data)
        for event in decoder.flush():
            if event.data == "[DONE]":
                return
            yield self._chunk(event.data)
        raise ProxyError(502, UNREACHABLE)  # no [DONE]: whatever ended the stream, it wasn't its end

    async def aclose(self) -> None:
        await self._opened.aclose()

    def _chunk(self, data: str) -> dict[str, Any]:
        chunk = read_object(data)
        if isinstance(chunk.get("error"), dict) and "choices" not in chunk and "type" not in chunk:
            code = str(chunk["error"].get("code") or "")
            status = int(code) if code.isdigit() and 400 <= int(code) <= 599 else 500
            raise _refusal(503 if code == _OVERLOADED else status, data, {})
        return chunk


class BinaryPassage:
    """An answer of the LiteLLM process, handed on."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self.status = answer.status_code
        about = {n: v for n, v in answer.headers.items() if n.startswith("content-")}
        if "content-encoding" in about:  # unpacked below, so the length is another one
            about.pop("content-length", None)
        self.headers: Mapping[str, str] = {**from_litellm(answer.headers), **about}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_bytes():
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


def _refusal(
    status: int,
    text: str,
    headers: Mapping[str, str],
    unasked: str | None = None,
    unread: bool = False,
) -> ProxyError:
    """The LiteLLM process answered with an error, its own or the provider's; the rest is as in `upstream_error`."""
    message, param, code = _said(text)
    if status == 503 and code == _OVERLOADED:
        status = 529
    if status == 401 and message.startswith("Authentication Error"):
        return ProxyError(502, _REFUSED)
    provider = from_litellm(headers)
    return upstream_error(
        status if status >= 400 else 502,
        message,
        answered=bool(provider),
        unasked=unasked,
        unread=unread,
        param=param,
        headers=provider,
    )


class _Said(NamedTuple):
    message: str
    param: str | None
    code: str | None


def _said(text: str) -> _Said:
    """The message, the `param` and the `code` of an error's body."""
    body = json_object(text) or {}
    error = body.get("error")
    if not isinstance(error, dict):
        error = of_validation(body.get("detail")) or {"message": body.get("detail") or text}
    param = text_or_none(error.get("param"))
    return _Said(
        str(error.get("message") or ""),
        None if param == "None" else param,  # LiteLLM's word for null
        text_or_none(error.get("code")),
    )

"""Calls the model with LiteLLM's own functions, in this process.

Read it beside `proxies/binary/backend.py`: the same functions in the same order, and only what truly differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import traceback
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cache, partialmethod, wraps
from importlib import import_module
from operator import attrgetter
from typing import Any

import httpx

from proxies.answers import asked_at
from proxies.backend import Call, Reply
from proxies.config.models import Deployment, ProxyConfig
from proxies.cookies import Shelf
from proxies.counting import count_tokens
from proxies.dialects.kinds import KINDS
from proxies.egress import UNASKED, UNREAD, Calls, Guard, add_hooks, noting_calls
from proxies.errors import ProxyError
from proxies.headers import from_litellm
from proxies.sdk.clients import client_for
from proxies.sdk.router import ROUTING_PARAMS, Router
from proxies.sessions import READ_TIMEOUT, LiteLLMSessionManager
from proxies.support import garbage
from proxies.support.jsontext import text_or_none
from proxies.support.litellm_environment import stay_local
from proxies.support.litellm_records import record_for_listeners_alone
from proxies.support.litellm_streams import keep_little
from proxies.support.openai_bodies import send_as_given
from proxies.support.sse import SSEDecoder
from proxies.upstream_errors import connection_error, read_object, upstream_error


class SdkBackend:
    """Calls through LiteLLM's function of each kind, `litellm.acompletion` for a chat completion."""

    def __init__(
        self,
        config: ProxyConfig,
        sessions: LiteLLMSessionManager | None = None,
        cookies: Shelf | None = None,
    ) -> None:
        self._config = config
        self._sessions = sessions or LiteLLMSessionManager(
            read_timeout=READ_TIMEOUT, limits=config.limits.answers, cookies=cookies
        )
        self._router = Router(config)
        self._started = False

    async def start(self) -> None:
        send_as_given()
        _import_early()
        keep_little()
        record_for_listeners_alone()
        _make_known(self._config.model_list)
        _guard_own_clients(Guard(self._config.limits.answers, mends=True))
        # Its table of tokens takes half a second to be read, and would be with the first stream.
        await asyncio.to_thread(_litellm().token_counter, model="", text="")
        self._started = True

    async def check_ready(self) -> None:
        if not self._started:
            raise ProxyError(503, "LiteLLM is not loaded.")

    async def complete(self, call: Call) -> Reply:
        async def ask(deployment: Deployment) -> Any:
            with asked_at(call.route):
                return await _function(call)(**await self._request(call, deployment))

        with noting_calls() as made:
            try:
                answer = await self._router.run(call.model, ask)
            except Exception as error:
                unread = made.answered or bool(getattr(error, UNREAD, False))
                raise _refusal(error, call.route, asked=bool(made), unread=unread) from None
        unset = KINDS[call.route].nulls
        return Reply(answer if isinstance(answer, dict) else _dump(answer, unset), _provider_headers(answer))

    async def stream(self, call: Call) -> SdkStream:
        made = Calls()

        async def ask(deployment: Deployment) -> Any:
            with noting_calls(made), asked_at(call.route):
                return await _function(call)(**await self._request(call, deployment))

        try:
            answer = await self._router.stream(call.model, ask)
        except Exception as error:
            raise _refusal(error, call.route, asked=bool(made)) from None
        return SdkStream(call, answer, made)

    async def count(self, call: Call) -> Reply:
        group = self._config.group(call.model)
        return await count_tokens(call, group, lambda at: self._sessions.get_session(at, call.user_id))

    def sessions(self) -> dict[str, int]:
        return self._sessions.count()

    def restarts(self) -> int:
        return 0  # LiteLLM lives and dies with the proxy

    forward = None  # LiteLLM has no function that takes any route's request as it is

    async def aclose(self) -> None:
        await self._sessions.aclose()

    async def _request(self, call: Call, deployment: Deployment) -> dict[str, Any]:
        """The arguments: the client's parameters, then what only the configuration decides."""
        params = {
            name: value
            for name, value in deployment.litellm_params.items()
            if value is not None and name not in ROUTING_PARAMS
        }
        settings = self._config.litellm_settings
        arguments: dict[str, Any] = {}
        if settings.get("drop_params") is not None:
            arguments["drop_params"] = settings["drop_params"]
        # A deployment's own parameters are defaults, which a client may override, except what steers.
        arguments |= {**params, **call.params, "model": params["model"], "num_retries": 0, "max_retries": 0}
        arguments["timeout"] = self._router.timeout(deployment, stream=bool(call.params.get("stream")))
        if call.headers:
            arguments["extra_headers"] = {**(params.get("extra_headers") or {}), **call.headers}
        if (client := await client_for(self._sessions, call.route, params, call.user_id)) is not None:
            arguments["client"] = client
        return arguments


class SdkStream:
    """Yields what LiteLLM gave for `stream=True`, as chunks."""

    def __init__(self, call: Call, answer: Any, made: Calls) -> None:
        self._call = call
        self._answer = answer
        self._made = made
        self.headers: Mapping[str, str] = _provider_headers(answer)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for chunk in self._chunks():
                yield chunk
        except Exception as error:
            raise _refusal(error, self._call.route, asked=True) from None

    async def _chunks(self) -> AsyncIterator[dict[str, Any]]:
        decoder = SSEDecoder()
        async for piece in self._answer:
            if isinstance(piece, bytes):  # of a message, cut wherever the provider's packets were
                for event in decoder.feed(piece):
                    yield read_object(event.data)
            else:
                yield _dump(piece)
        for event in decoder.flush():
            yield read_object(event.data)

    async def aclose(self) -> None:
        with contextlib.suppress(RuntimeError):  # LiteLLM is still reading: the body's end will stop it
            await self._answer.aclose()
        await self._made.end()  # LiteLLM closes OpenAI's answer, but forgets Anthropic's


def _refusal(error: Exception, route: str, *, asked: bool, unread: bool = False) -> Exception:
    """Turn what LiteLLM raised, the provider's error or its own, into ours; anything else is a bug and stays.

    `asked`: a provider was called before; `unread`: its answer, a success, is what failed LiteLLM.
    """
    if isinstance(error, httpx.HTTPError):
        return connection_error(error)
    status = getattr(error, "status_code", None)
    unasked = _unasked(error, asked)
    if not isinstance(status, int):
        if not unasked and not unread:
            return error
        status = 400
    behind = getattr(error, "original_exception", None)
    if behind is not None and getattr(behind, "status_code", None) is None:
        status = 500  # a stream that broke: LiteLLM gives it a 503 for want of a status, its process none
    if status < 400:
        status = 500  # of an answer that LiteLLM couldn't read
    provider = dict(getattr(error, "litellm_response_headers", None) or {})
    body = getattr(error, "body", None)
    code = body.get("code") if isinstance(body, dict) else getattr(error, "code", None)
    return upstream_error(
        status,
        _public(str(getattr(error, "message", None) or error), route),
        answered=bool(provider),
        unasked=route if unasked and not unread and not provider else None,
        unread=unread,
        code=text_or_none(code),
        param=text_or_none(getattr(error, "param", None)),
        headers=provider,
    )


def _unasked(error: Exception, asked: bool) -> bool:
    """Whether LiteLLM itself raised it, and without asking; a recording says so in an attribute."""
    if (noted := getattr(error, UNASKED, None)) is not None:
        return bool(noted)
    [*_, last] = [None, *traceback.extract_tb(error.__traceback__)]
    return not asked and last is not None and f"{os.sep}litellm{os.sep}" in last.filename


def _dump(answer: Any, unset: bool = False) -> dict[str, Any]:
    """The JSON object of a LiteLLM object; with `unset` fields that nobody gave a value, too."""
    # LiteLLM puts plain objects where its models name others, of which pydantic would warn.
    body: dict[str, Any] = answer.model_dump(mode="json", exclude_unset=not unset, warnings=False)
    return body


def _provider_headers(answer: Any) -> dict[str, str]:
    kept = (getattr(answer, "_hidden_params", None) or {}).get("additional_headers") or {}
    return from_litellm({str(name): str(value) for name, value in kept.items()})


def _public(message: str, route: str) -> str:
    """The message as the LiteLLM process lets clients see it: on chat completions without its host's addresses."""
    from litellm.litellm_core_utils.secret_redaction import redact_internal_details

    return message if route == "messages" else str(redact_internal_details(message))


def _function(call: Call) -> Any:
    return attrgetter(KINDS[call.route].function)(_litellm())


def _make_known(deployments: Iterable[Deployment]) -> None:
    """Tell LiteLLM of models that it hasn't heard of, as its Router does: it would not stream their responses."""
    litellm = _litellm()
    for deployment in deployments:
        model = str(deployment.litellm_params["model"])
        try:
            litellm.get_model_info(model, deployment.litellm_params.get("custom_llm_provider"))
        except Exception:  # what it raises for an unknown one
            litellm.register_model({model: {}}, persist_across_reloads=False)


@cache
def _import_early() -> None:
    """Import what LiteLLM would with its first calls, some of them in threads that can meet halfway in a module.

    Once: what another start finds there as garbage must not be kept.
    """
    with garbage.kept():
        _litellm()  # these import it too, and it mustn't ask the network for anything
        for name in (
            "litellm._service_logger",
            "litellm.proxy.guardrails.exception_utils",
            "litellm.proxy.pass_through_endpoints.streaming_handler",  # a second, at a message's first stream's end
        ):
            with contextlib.suppress(ImportError):
                import_module(name)


def _litellm() -> Any:
    """The package, imported late: it costs seconds and 180 MB, and mustn't ask the network for anything."""
    stay_local()
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    _quieten()
    litellm.disable_hf_tokenizer_download = True
    # What it takes for embeddings, where `max_retries=0` counts as nothing said.
    litellm.DEFAULT_MAX_RETRIES = 0  # type: ignore[attr-defined]
    # A /v1/messages for an OpenAI model becomes a chat completion, which every OpenAI-compatible server has.
    litellm.use_chat_completions_url_for_anthropic_messages = True
    _dump_in_silence()
    return litellm


@cache
def _quieten() -> None:
    """Keep LiteLLM's own log for those who ask for it: of failures, which the front tells, it quotes the answers."""
    if not os.environ.get("LITELLM_LOG"):
        for name in ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _guard_own_clients(guard: Guard) -> None:
    """Guard the clients that LiteLLM makes itself, for providers that take none of ours."""
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
    from litellm.llms.openai.common_utils import BaseOpenAILLM

    for owner, name in ((AsyncHTTPHandler, "create_client"), (BaseOpenAILLM, "_get_async_http_client")):
        made = inspect.getattr_static(owner, name)
        function = getattr(made, "__func__", made)
        function = getattr(function, "__wrapped__", function)

        @wraps(function)
        def guarded(*args: Any, _function: Any = function, **options: Any) -> Any:
            client = _function(*args, **options)
            if client is not None:
                add_hooks(client, guard.hooks())
            return client

        setattr(owner, name, staticmethod(guarded) if isinstance(made, staticmethod) else guarded)


@cache
def _dump_in_silence() -> None:
    """Let LiteLLM dump the models that it fills with what their fields don't name: pydantic's warning would show it."""
    from litellm.types.llms.openai import ResponsesAPIResponse
    from openai.types import CreateEmbeddingResponse

    for model in (CreateEmbeddingResponse, ResponsesAPIResponse):
        model.model_dump = partialmethod(model.model_dump, warnings=False)  # type: ignore[method-assign,assignment]

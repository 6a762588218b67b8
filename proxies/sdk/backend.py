"""Calls the model with LiteLLM's own functions, in this process.

Read it beside `proxies/binary/backend.py`: the same functions in the same order, and only what truly differs.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import AsyncIterator, Iterable, Mapping
from operator import attrgetter
from typing import Any, NoReturn

import httpx

from proxies.backend import Call, Forwarded, Reply
from proxies.config.models import Deployment, ProxyConfig
from proxies.dialects.kinds import KINDS
from proxies.errors import TIMED_OUT, UNREACHABLE, UNREADABLE, ProxyError
from proxies.headers import for_client, from_litellm
from proxies.sdk.clients import client_for
from proxies.sdk.router import ROUTING_PARAMS, Router
from proxies.sessions import READ_TIMEOUT, LiteLLMSessionManager, bodies_of_answers
from proxies.support.litellm_environment import stay_local
from proxies.support.openai_bodies import send_as_given
from proxies.support.sse import SSEDecoder
from proxies.upstream_errors import upstream_error


class SdkBackend:
    """Calls through LiteLLM's function of each kind, `litellm.acompletion` for a chat completion."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._sessions = LiteLLMSessionManager(read_timeout=READ_TIMEOUT)
        self._router = Router(config)
        self._started = False

    async def start(self) -> None:
        send_as_given()
        _make_known(self._config.model_list)
        # They would show what was said, wherever LiteLLM puts plain objects into its models.
        warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)
        self._started = True

    async def check_ready(self) -> None:
        if not self._started:
            raise ProxyError(503, "LiteLLM is not loaded.")

    async def complete(self, call: Call) -> Reply:
        async def ask(deployment: Deployment) -> Any:
            return await _function(call)(**await self._request(call, deployment))

        try:
            answer = await self._router.run(call.model, ask)
        except Exception as error:
            raise _refusal(error, call.route) from None
        body = answer if isinstance(answer, dict) else _as_sent(answer, nulls=KINDS[call.route].nulls)
        return Reply({**body, "model": call.model}, _provider_headers(answer))

    async def stream(self, call: Call) -> SdkStream:
        bodies: list[httpx.AsyncByteStream] = []

        async def ask(deployment: Deployment) -> Any:
            with bodies_of_answers(bodies):
                return await _function(call)(**await self._request(call, deployment))

        try:
            answer = await self._router.stream(call.model, ask)
        except Exception as error:
            raise _refusal(error, call.route) from None
        return SdkStream(call, answer, bodies)

    def sessions(self) -> dict[str, int]:
        return self._sessions.count()

    def check_forwards(self) -> None:
        raise ProxyError(404, "This route is not supported.", code="unsupported_route")

    async def forward(self, request: Forwarded) -> NoReturn:
        self.check_forwards()
        raise AssertionError("it raises")

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
    """What LiteLLM gave for `stream=True`, as chunks."""

    def __init__(self, call: Call, answer: Any, bodies: Iterable[httpx.AsyncByteStream]) -> None:
        self._call = call
        self._answer = answer
        self._bodies = bodies
        self.headers: Mapping[str, str] = _provider_headers(answer)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for chunk in self._chunks():
                yield chunk
        except Exception as error:
            failure = _refusal(error, self._call.route)
            if isinstance(failure, ProxyError):
                failure.headers = {**for_client(self.headers), **failure.headers}
            raise failure from None

    async def _chunks(self) -> AsyncIterator[dict[str, Any]]:
        decoder = SSEDecoder()
        async for piece in self._answer:
            if isinstance(piece, bytes):  # of a message, cut wherever the provider's packets were
                for event in decoder.feed(piece):
                    yield _object(event.data)
            else:
                yield _without_nulls(piece)
        for event in decoder.flush():
            yield _object(event.data)

    async def aclose(self) -> None:
        with contextlib.suppress(RuntimeError):  # LiteLLM is still reading: the body's end will stop it
            await self._answer.aclose()
        for body in self._bodies:  # LiteLLM closes OpenAI's, but forgets Anthropic's
            await body.aclose()


def _refusal(error: Exception, route: str) -> Exception:
    """What LiteLLM raised, the provider's error or its own; anything else is a bug and stays what it is."""
    if isinstance(error, httpx.HTTPError):
        timed_out = isinstance(error, httpx.TimeoutException)
        return ProxyError(504, TIMED_OUT) if timed_out else ProxyError(502, UNREACHABLE)
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return error
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
        code=_text(code),
        param=_text(getattr(error, "param", None)),
        headers=for_client(provider),
    )


def _as_sent(answer: Any, *, nulls: bool) -> dict[str, Any]:
    """The body that the LiteLLM process makes of the same answer: of nulls all, or just two keys of a message."""
    body: dict[str, Any]
    if nulls:
        body = answer.model_dump(mode="json", warnings=False)
        return body
    body = _without_nulls(answer)
    for choice, dumped in zip(answer.choices, body.get("choices", ()), strict=False):
        for name in ("content", "role"):
            if "message" in dumped and hasattr(choice.message, name):
                dumped["message"].setdefault(name, getattr(choice.message, name))
    return body


def _without_nulls(answer: Any) -> dict[str, Any]:
    # LiteLLM puts plain objects where its models name others, of which pydantic would warn.
    body: dict[str, Any] = answer.model_dump(
        mode="json", exclude_none=True, exclude_unset=True, warnings=False
    )
    return body


def _provider_headers(answer: Any) -> dict[str, str]:
    kept = (getattr(answer, "_hidden_params", None) or {}).get("additional_headers") or {}
    return from_litellm({str(name): str(value) for name, value in kept.items()})


def _public(message: str, route: str) -> str:
    """The message as the LiteLLM process lets clients see it: on chat completions without its host's addresses."""
    from litellm.litellm_core_utils.secret_redaction import redact_internal_details

    return message if route == "messages" else str(redact_internal_details(message))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _object(data: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ProxyError(502, UNREADABLE)
    return value


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


def _litellm() -> Any:
    """The package, imported late: it costs seconds and 180 MB, and mustn't ask the network for anything."""
    stay_local()
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True
    # What it takes for embeddings, where `max_retries=0` counts as nothing said.
    litellm.DEFAULT_MAX_RETRIES = 0  # type: ignore[attr-defined]
    # A /v1/messages for an OpenAI model becomes a chat completion, which every OpenAI-compatible server has.
    litellm.use_chat_completions_url_for_anthropic_messages = True
    return litellm

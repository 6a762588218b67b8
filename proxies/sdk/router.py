"""Does what LiteLLM's Router does around a provider call, for the sdk architecture: retries and fallbacks.

group of the model ── ask ─┬─ answer
                           └─ failed ── worth another try? ── wait ── ask, perhaps another deployment
                                           └─ no, or used up ── fallback groups, each the same way
                                                                   └─ none answers: the first failure

The rules are those measured on the Router of a LiteLLM process; where it stays silent about a reason, so do
these. The waiting times and what is worth a retry come from LiteLLM's own functions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import httpx

from proxies.config.models import Deployment, ProxyConfig

Ask = Callable[[Deployment], Awaitable[Any]]
"""One provider call at a deployment; raises what LiteLLM raises."""

MAX_FALLBACKS = 5
"""How many fallbacks may follow one another, where `router_settings.max_fallbacks` is silent."""

DEFAULT_TIMEOUT = 6000.0
"""Seconds that LiteLLM's Router gives a call of which the configuration says nothing."""

ROUTING_PARAMS = frozenset({"num_retries", "request_timeout", "stream_timeout", "timeout", "weight"})
"""Names what is read here of a deployment's `litellm_params`, and is no argument of the call."""

_REFUSALS = (401, 403)


class Router:
    """Decides which deployment is asked, how often, and who stands in for a group that fails."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        router, litellm = config.router_settings, config.litellm_settings
        self._fallbacks = _chosen(router, litellm, "fallbacks")
        if defaults := _chosen(router, litellm, "default_fallbacks"):
            self._fallbacks = [*(self._fallbacks or []), {"*": defaults}]
        self._by_cause = {
            "ContextWindowExceededError": _chosen(router, litellm, "context_window_fallbacks"),
            "ContentPolicyViolationError": _chosen(router, litellm, "content_policy_fallbacks"),
        }
        self._retries = int(_first(router.get("num_retries"), litellm.get("num_retries"), 0))
        self._least_wait = int(router.get("retry_after") or 0)
        self._max_fallbacks = int(
            _first(router.get("max_fallbacks"), litellm.get("max_fallbacks"), MAX_FALLBACKS)
        )

    async def run(self, model: str, ask: Ask) -> Any:
        """The answer of `model`'s group, or of a group that stands in for it.

        Raises the last failure of the group itself, also when its fallbacks failed, too.
        """
        return await self._group(model, ask, set(), 0)

    async def stream(self, model: str, ask: Ask) -> RoutedStream:
        """Like `run` for a call that streams: a stream that breaks before it said anything is stood in for."""

        async def instead(error: Exception) -> Any:
            return await self._stand_in(model, error, ask, set(), 0)

        stands_in = bool(self._fallbacks or any(self._by_cause.values()))
        return RoutedStream(await self.run(model, ask), instead, announced=not stands_in)

    def timeout(self, deployment: Deployment, *, stream: bool) -> float:
        """Seconds for one provider call, in the order in which the Router looks."""
        own, router = deployment.litellm_params, self._config.router_settings
        for_any = self._config.litellm_settings.get("request_timeout")
        # Beside a timeout of the router's, this one comes before a deployment's own; without, after it.
        for_streams = for_any if router.get("timeout") is not None else None
        seconds = (
            *((own.get("stream_timeout"), router.get("stream_timeout"), for_streams) if stream else ()),
            own.get("timeout"),
            own.get("request_timeout"),
            for_any,
            router.get("timeout"),
            DEFAULT_TIMEOUT,
        )
        return float(_first(*seconds))

    async def _group(self, model: str, ask: Ask, tried: set[str], depth: int) -> Any:
        try:
            return await self._retried(self._config.group(model), ask)
        except Exception as error:
            return await self._stand_in(model, error, ask, tried, depth)

    async def _retried(self, group: tuple[Deployment, ...], ask: Ask) -> Any:
        refused: list[Deployment] = []
        attempt, allowed = 0, 0
        while True:
            # Who refused is left out, unless that leaves nobody.
            deployment = pick(tuple(d for d in group if d not in refused) or group)
            try:
                return await ask(deployment)
            except Exception as error:
                if attempt == 0:  # the first to fail decides for all
                    own = deployment.litellm_params.get("num_retries")
                    allowed = self._retries if own is None else int(own)
                if attempt == allowed or not self._worthwhile(error, len(group)):
                    raise
                if getattr(error, "status_code", None) in _REFUSALS:
                    refused.append(deployment)
                if len(group) == 1:
                    await asyncio.sleep(self._wait(error, attempt, allowed))
            attempt += 1

    def _worthwhile(self, error: Exception, deployments: int) -> bool:
        import litellm
        from openai import AuthenticationError, NotFoundError, PermissionDeniedError

        if self._by_cause.get(type(error).__name__) is not None:
            return False
        if isinstance(error, httpx.HTTPError):
            return True
        status = getattr(error, "status_code", None)
        if not isinstance(status, int) or isinstance(error, NotFoundError):
            return False
        if isinstance(error, AuthenticationError | PermissionDeniedError):
            return deployments > 1
        return status in _REFUSALS or bool(litellm.should_retry(status))

    def _wait(self, error: Exception, attempt: int, allowed: int) -> float:
        """Seconds before attempt `attempt + 1`: what `retry-after` says, else a growing while."""
        import litellm

        headers = getattr(error, "litellm_response_headers", None)
        if headers is None:
            headers = getattr(getattr(error, "response", None), "headers", None)
        return float(
            litellm.calculate_retry_after(
                remaining_retries=allowed - attempt,
                max_retries=allowed,
                response_headers=headers,
                min_timeout=self._least_wait,
            )
        )

    async def _stand_in(self, model: str, error: Exception, ask: Ask, tried: set[str], depth: int) -> Any:
        """The answer of the first fallback of `model` that has one; raises `error` when none has."""
        if _ours(error) or depth >= self._max_fallbacks:
            raise error
        tried.add(model)
        for name in self._targets(model, error):
            if name in tried:
                continue
            tried.add(name)
            depth += 1
            try:
                return await self._group(name, ask, tried, depth)
            except Exception as failed:
                if _ours(failed):
                    raise
        raise error

    def _targets(self, model: str, error: Exception) -> list[str]:
        special = self._by_cause.get(type(error).__name__)
        fallbacks = self._fallbacks if special is None else special
        by_model = {name: targets for entry in reversed(fallbacks or []) for name, targets in entry.items()}
        return list(by_model.get(model, by_model.get("*", ())))


class RoutedStream:
    """A LiteLLM stream that is replaced by another if it breaks before the first content was passed on.

    Unless `announced`, events that announce a response are held back until it says something, so that the client
    hears of one response alone.
    """

    def __init__(
        self, answer: Any, instead: Callable[[Exception], Awaitable[Any]], *, announced: bool = True
    ) -> None:
        self._answer = answer
        self._instead = instead
        self._announced = announced

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        said = False
        held: list[Any] = []
        try:
            async for chunk in self._answer:
                said = said or _says(chunk)
                if not self._announced and _announces(chunk):
                    held.append(chunk)
                    continue
                for earlier in held:
                    yield earlier
                held = []
                yield chunk
            return
        except Exception as error:
            if said or _ours(error):
                raise
            failure = error
        await _close(self._answer)
        try:
            self._answer = await self._instead(failure)
        except Exception:
            for chunk in held:
                yield chunk
            raise
        async for chunk in self._answer:
            yield chunk

    async def aclose(self) -> None:
        await _close(self._answer)


def pick(group: tuple[Deployment, ...]) -> Deployment:
    """One deployment at random, as LiteLLM's `simple-shuffle`: by weight where the group has weights."""
    weights = [float(deployment.litellm_params.get("weight") or 0) for deployment in group]
    return random.choices(group, weights if any(weights) else None)[0]  # noqa: S311  # no secret


def fallback_names(setting: Iterable[Any]) -> list[str]:
    """Every model that a list of fallbacks mentions, `*` left out."""
    return [
        name for entry in setting for key, targets in entry.items() for name in (key, *targets) if name != "*"
    ]


def _chosen(router: dict[str, Any], litellm: dict[str, Any], key: str) -> Any:
    return router.get(key) or litellm.get(key) or None


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _ours(error: Exception) -> bool:
    """A bug, not a failure of a provider: nobody could do better."""
    return not (isinstance(error, httpx.HTTPError) or isinstance(getattr(error, "status_code", None), int))


def _says(chunk: Any) -> bool:
    """Whether content has been passed on; of bytes, which are a message's, take it for granted."""
    if not hasattr(chunk, "choices"):
        return not _announces(chunk)
    return any(
        getattr(choice.delta, name, None)
        for choice in chunk.choices
        for name in ("content", "tool_calls", "function_call", "reasoning_content")
    )


def _announces(chunk: Any) -> bool:
    """Whether this event only says that a response is on its way."""
    return getattr(chunk, "type", None) in ("response.created", "response.queued", "response.in_progress")


async def _close(answer: Any) -> None:
    if hasattr(answer, "aclose"):
        await answer.aclose()

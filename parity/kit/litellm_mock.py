"""Mocks LiteLLM's functions: they answer LiteLLM's own objects, or raise its own exceptions, as recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import DEFAULT, AsyncMock, MagicMock, patch

import httpx

from parity.kit import bodies
from parity.kit.answer_methods import Answering
from parity.kit.completion import Completion, Refusal
from parity.kit.litellm_objects import exception, returned
from parity.kit.mistakes import Notebook
from parity.kit.samples import Route
from parity.kit.stubs import Asked, Stubs, seen_headers
from parity.observation.model import UpstreamCall
from parity.recording import calls
from parity.targets.arms import SDK_FUNCTIONS

_UNSET = object()

Deployments = Callable[[], Sequence[Mapping[str, Any]]]
"""The entries of `model_list` of every proxy that the test has made."""


class MockCompletion(AsyncMock, Answering):
    """Stands in for `litellm.acompletion`; its `acreate` for `litellm.anthropic.messages.acreate`.

    Without stubs it answers as recorded, with a `ModelResponse` or, for `stream=True`, a `CustomStreamWrapper`.
    An assigned `return_value` or `side_effect` goes before stubs. `call_args.kwargs` are LiteLLM's arguments.
    """

    def __init__(
        self, notebook: Notebook, name: str = "mock_litellm_completion", deployments: Deployments = tuple
    ) -> None:
        super().__init__(name=name, return_value=_UNSET)
        calls_made: list[UpstreamCall] = []
        own = {"stubs": Stubs(notebook, name), "calls": calls_made, "_deployments": deployments}
        self.__dict__.update(own)
        self.acreate = AsyncMock(name=f"{name}.acreate", return_value=_UNSET)
        self.side_effect = self._behaviour(self, "chat/completions")
        self.acreate.side_effect = self._behaviour(self.acreate, "messages")

    def _get_child_mock(self, /, **options: Any) -> Any:
        return MagicMock(**options)

    def _behaviour(self, mock: AsyncMock, route: Route) -> Callable[..., Any]:
        async def answer(**arguments: Any) -> Any:
            self.calls.append(call := self._call(route, arguments))
            return DEFAULT if mock.return_value is not _UNSET else self._answer(route, call, arguments)

        return answer

    def _call(self, route: Route, arguments: Mapping[str, Any]) -> UpstreamCall:
        entries = self._deployments()
        params = [entry["litellm_params"] for entry in entries]
        deployment = calls.deployment_of(arguments, params) if params else {}
        alias = next(
            (e["model_name"] for e in entries if e["litellm_params"].get("model") == arguments.get("model")),
            str(arguments.get("model")),
        )
        return calls.from_arguments(route, alias, arguments, deployment)

    def _answer(self, route: Route, call: UpstreamCall, arguments: Mapping[str, Any]) -> Any:
        body = {"model": call.model, **(call.body or {})}
        asked = Asked(
            "POST", f"/v1/{route}", body, seen_headers(call.headers), streamed=bool(arguments.get("stream"))
        )
        stub = self.stubs.find(asked)
        said: Any = bodies.HELLO if stub is None else stub.answer
        if callable(said):
            said = said(asked)
        if isinstance(said, str):
            said = Completion(said)
        if isinstance(said, httpx.Response):
            raise self.stubs.notebook.mistake(
                f"{stub} gave an HTTP response, but {SDK_FUNCTIONS[route]} returns objects. "
                "Give a text, Completion(…) or Refusal(…), which fit both proxies."
            )
        model = str(arguments.get("model", "")).rpartition("/")[2] or bodies.MODEL
        if isinstance(said, Refusal):
            raise exception(said, route, model)
        if isinstance(said, Completion):
            return returned(said, route, model, streamed=asked.streamed)
        return said


@contextmanager
def in_place(mock: MockCompletion) -> Iterator[MockCompletion]:
    """Patch LiteLLM's functions with `mock`, and skip the wait before a retry."""
    with ExitStack() as patched:
        patched.enter_context(patch(SDK_FUNCTIONS["chat/completions"], mock))
        patched.enter_context(patch(SDK_FUNCTIONS["messages"], mock.acreate))
        patched.enter_context(patch("litellm.calculate_retry_after", lambda **_: 0))
        yield mock

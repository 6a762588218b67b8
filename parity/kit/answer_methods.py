"""Defines how a test adds stubs: `answers`, `streams` and `refuses`, the same on every mock and target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parity.kit import samples
from parity.kit.completion import Completion, FinishReason, Refusal, ToolCall
from parity.kit.samples import ErrorKind, NoSample, error_id
from parity.kit.stubs import COMPLETIONS, Asked, Said, Stubs, When
from parity.observation.model import UpstreamCall


class Answering:
    """Adds stubs. Each must be used in the test; of several that fit equally well, each answers once, in
    order.
    """

    stubs: Stubs
    calls: list[UpstreamCall]
    """The requests so far: `route` (`chat/completions`), `model` as the client sent it, `headers`, `body`."""

    def answers(
        self,
        content: str | Callable[[Asked], Said] | None = None,
        *,
        finish_reason: FinishReason | None = None,
        tool_calls: Sequence[ToolCall] = (),
        usage: Mapping[str, int] | None = None,
        when: When | None = None,
    ) -> None:
        """Answer with a completion, whole or streamed word by word, in the route's dialect, as requested.

        `content` may be a function of the request: `lambda asked: f"You said {asked.says}"`.
        """
        shown = _call("answers", content, finish_reason=finish_reason, tool_calls=tool_calls, usage=usage)
        if callable(content):
            self.stubs.add(shown, content, when, COMPLETIONS)
            return
        self.stubs.add(shown, Completion(content, tool_calls, finish_reason, usage), when, COMPLETIONS)

    def streams(
        self,
        pieces: Sequence[str],
        *,
        finish_reason: FinishReason | None = None,
        usage: Mapping[str, int] | None = None,
        breaks: str | None = None,
        when: When | None = None,
    ) -> None:
        """Answer with a completion streamed in these pieces. `breaks`: the provider's error after them."""
        shown = _call("streams", list(pieces), finish_reason=finish_reason, usage=usage, breaks=breaks)
        answer = Completion(None, (), finish_reason, usage, list(pieces), breaks)
        self.stubs.add(shown, answer, when, COMPLETIONS)

    def refuses(
        self,
        status: int | None = None,
        message: str | None = None,
        *,
        kind: ErrorKind | None = None,
        retry_after: str | None = None,
        when: When | None = None,
    ) -> None:
        """Answer with the provider's error, by `status` or by `kind`, as LiteLLM was recorded to pass it on.

        `message` is the provider's sentence. Raises `ValueError` when no such error was recorded.
        """
        if (status is None) == (kind is None):
            raise ValueError(
                f"{self.stubs.name}.refuses: give either a status or a kind, as in refuses(429, 'Slow down.')"
            )
        samples.check_message(kind, message)
        refusal = Refusal(status, message, kind, retry_after)
        known = [route for route in COMPLETIONS if _is_known(route, refusal)]
        if not known:
            error_id("chat/completions", status, kind)
        shown = _call("refuses", status, message, kind=kind, retry_after=retry_after)
        self.stubs.add(shown, refusal, when, tuple(known))


def _is_known(route: Any, refusal: Refusal) -> bool:
    try:
        error_id(route, refusal.status, refusal.kind)
    except NoSample:
        return False
    return True


def _call(name: str, *values: Any, **options: Any) -> str:
    shown = [repr(value) for value in values if value is not None]
    shown += [f"{key}={value!r}" for key, value in options.items() if value]
    text = ", ".join(shown)
    return f"{name}({text if len(text) <= 80 else text[:77] + '…'})"

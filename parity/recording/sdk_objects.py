"""Turns LiteLLM's objects and exceptions into data and back; a round trip loses nothing that a caller can
see.

Needs litellm, and is imported only where it is there.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from enum import Enum
from pkgutil import resolve_name
from typing import Any

import httpx
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from parity.recording.file import RecordingError, SdkAnswer, SdkException
from parity.recording.litellm_import import litellm
from proxies.support.redact import redact_headers

try:
    BaseResponsesAPIStreamingIterator = resolve_name(
        "litellm.responses.streaming_iterator:BaseResponsesAPIStreamingIterator"
    )
except ImportError:  # LiteLLM before 1.63, which `parity bisect` may go back to
    BaseResponsesAPIStreamingIterator = object

_CLASS, _UNSET = "$class", "$unset"

CHAT = (litellm.ModelResponse, litellm.ModelResponseStream)
"""The classes of chat completions and their chunks: what stands in a recording without a class is one of them."""

CAUSES_KEPT = 3
"""The number of exceptions kept behind an exception; callers look one or two levels down."""


def dump_value(value: Any) -> dict[str, Any]:
    """Turn one of LiteLLM's answers, chunks or events into data; a message is a plain dict.

    Chat completions and their chunks are what they dump as where that is enough to rebuild them; all others name their
    class, and the classes of what is in them. Raises `RecordingError` when it can't be rebuilt from either.
    """
    if isinstance(value, dict):
        return deepcopy(value)
    if isinstance(value, CHAT):
        data: dict[str, Any] = value.model_dump(mode="json", exclude_unset=True)
        if not _unlike(type(value)(**data), value):
            return data
    data = _encoded(value)
    if options := _unlike(load_value(data), value):
        raise RecordingError(f"{type(value).__name__} does not survive a round trip ({options[0]}): {data}")
    return data


def _unlike(again: Any, value: Any) -> list[dict[str, bool]]:
    """Return the ways to dump two objects that tell them apart."""
    every: tuple[dict[str, bool], ...] = ({}, {"exclude_unset": True})
    return [
        options
        for options in every
        if again.model_dump(mode="json", warnings=False, **options)
        != value.model_dump(mode="json", warnings=False, **options)
    ]


def _encoded(value: Any) -> Any:
    """Encode as JSON, each object with class and fields: LiteLLM adds fields that its classes forbid, and
    drops some.
    """
    if isinstance(value, BaseModel):
        declared = {
            name: value.__dict__[name]
            for name, field in type(value).model_fields.items()
            if name in value.__dict__ and not _is_left_out(field, value.__dict__[name])
        }
        fields = declared | (value.model_extra or {})
        about: dict[str, Any] = {_CLASS: f"{type(value).__module__}:{type(value).__qualname__}"}
        if unset := sorted(declared.keys() - value.model_fields_set):
            about[_UNSET] = unset
        return about | {name: _encoded(field) for name, field in fields.items()}
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _is_left_out(field: FieldInfo, value: Any) -> bool:
    """Return whether a field's value never leaves its object: an older LiteLLM, without that field, would show it."""
    return field.exclude_if is not None and field.exclude_if(value)


def load_value(data: Any) -> Any:
    """Load what `dump_value` wrote; without the name of a class it stays a dict."""
    if is_classed(data):
        fields = {key: load_value(item) for key, item in data.items() if key not in (_CLASS, _UNSET)}
        told = fields.keys() - data.get(_UNSET, ())
        construct = BaseModel.__dict__[
            "model_construct"
        ].__func__  # openai's classes override it, and count every field as set
        value: Any = construct(resolve_name(data[_CLASS]), _fields_set=told, **fields)
        for dropped in value.__dict__.keys() - fields.keys():
            del value.__dict__[dropped]
        return value
    if isinstance(data, dict):
        return {key: load_value(item) for key, item in data.items()}
    return [load_value(item) for item in data] if isinstance(data, list) else data


def is_classed(data: Any) -> bool:
    """Return whether the value names the class to be loaded."""
    return isinstance(data, dict) and _CLASS in data


def is_event(data: Any) -> bool:
    """Return whether the chunk of a stream is an event of a response, not a chunk of a chat completion."""
    return is_classed(data) and not issubclass(resolve_name(data[_CLASS]), CHAT)


def dump_headers(value: Any) -> dict[str, dict[str, str]]:
    """Return the provider's headers on a response or a stream, from the two places where LiteLLM keeps them."""
    hidden = getattr(value, "_hidden_params", None) or {}
    kept = {
        "response_headers": getattr(value, "_response_headers", None) or {},
        "additional_headers": hidden.get("additional_headers") or {},
    }
    return {
        place: redact_headers({str(k): str(v) for k, v in sorted(dict(headers).items())})
        for place, headers in kept.items()
    }


def load_response(answer: SdkAnswer) -> Any:
    """Load what the function returned: an object of the class that it names; without a name, a chat
    completion.
    """
    value = answer.value or {}
    response = load_value(value) if is_classed(value) else litellm.ModelResponse(**value)
    _attach_headers(response, answer)
    return response


def _attach_headers(target: Any, answer: SdkAnswer) -> None:
    target._response_headers = dict(answer.response_headers)
    target._hidden_params = {
        "headers": dict(answer.response_headers),
        "additional_headers": dict(answer.additional_headers),
    }


class ReplayedStream(litellm.CustomStreamWrapper):  # type: ignore[misc]
    """Replays what `acompletion(stream=True)` returns: recorded chunks, with no provider behind them."""

    def __init__(self, chunks: AsyncIterator[Any], answer: SdkAnswer) -> None:
        self.completion_stream = chunks
        self._chunks = chunks
        _attach_headers(self, answer)

    def __aiter__(self) -> ReplayedStream:
        return self

    async def __anext__(self) -> Any:
        return await self._chunks.__anext__()

    async def aclose(self) -> None:
        closing = getattr(self._chunks, "aclose", None)
        if closing is not None:
            await closing()


class ReplayedBytes:
    """Replays what `acreate(stream=True)` returns: server-sent events as bytes."""

    def __init__(self, frames: AsyncIterator[bytes], answer: SdkAnswer) -> None:
        self._frames = frames
        _attach_headers(self, answer)

    def __aiter__(self) -> ReplayedBytes:
        return self

    async def __anext__(self) -> bytes:
        return await self._frames.__anext__()

    async def aclose(self) -> None:
        closing = getattr(self._frames, "aclose", None)
        if closing is not None:
            await closing()


class ReplayedEvents(BaseResponsesAPIStreamingIterator):  # type: ignore[misc, valid-type]
    """Replays what `aresponses(stream=True)` returns: events as objects. LiteLLM's own can't be closed
    either.
    """

    def __init__(self, events: AsyncIterator[Any], answer: SdkAnswer) -> None:
        self._events = events
        _attach_headers(self, answer)

    def __aiter__(self) -> ReplayedEvents:
        return self

    async def __anext__(self) -> Any:
        return await self._events.__anext__()


def load_chunk(data: Mapping[str, Any]) -> Any:
    return load_value(data) if is_classed(data) else litellm.ModelResponseStream(**data)


def dump_exception(error: BaseException, depth: int = CAUSES_KEPT) -> SdkException:
    """Turn what a caller can look at into data: class, arguments, plain attributes, headers, response, cause."""
    attributes = {k: _dump_attribute(v, depth) for k, v in sorted(vars(error).items())}
    if error.__cause__ is not None and depth:
        attributes["__cause__"] = _dump_attribute(error.__cause__, depth)
    return SdkException(
        type=f"{type(error).__module__}.{type(error).__qualname__}",
        args=[a if _is_plain(a) else str(a) for a in error.args],
        attributes={k: v for k, v in attributes.items() if v is not _DROPPED},
    )


_DROPPED: Any = object()


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(_is_plain(v) for v in value)
    return value is None or isinstance(value, str | int | float | bool)


def _dump_attribute(value: Any, depth: int) -> Any:
    if _is_plain(value):
        return value
    if isinstance(value, httpx.Headers):
        return {"$headers": dict(value)}
    if isinstance(value, httpx.Response):
        return {"$response": {"status": value.status_code, "headers": dict(value.headers)}}
    if isinstance(value, BaseException) and depth:
        return {"$exception": dump_exception(value, depth - 1).model_dump(mode="json")}
    return _DROPPED


def load_exception(data: SdkException) -> BaseException:
    """Build a fresh instance at each call: exceptions carry tracebacks and must not be shared."""
    module, _, name = data.type.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    error: BaseException = cls.__new__(cls, *data.args)
    error.args = tuple(data.args)
    for key, value in data.attributes.items():
        loaded = _load_attribute(value)
        if key == "__cause__":
            error.__cause__ = loaded
        else:
            error.__dict__[key] = loaded
    return error


def _load_attribute(value: Any) -> Any:
    match value:
        case {"$headers": headers}:
            return httpx.Headers(headers)
        case {"$response": {"status": status, "headers": headers}}:
            return httpx.Response(
                status, headers=headers, request=httpx.Request("POST", "http://provider.invalid")
            )
        case {"$exception": nested}:
            return load_exception(SdkException.model_validate(nested))
    return value

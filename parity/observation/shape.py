"""Reduces answers to the kinds of their values, to compare endpoints whose models never answer the same
twice.

    {"id": "chatcmpl-9", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
    {"id": "<text>",     "choices": [{"index": "<number>", "message": {"role": "assistant", "content": "<text>"}}]}

Words of an API's own vocabulary stay, and so do statuses, the names of headers, null, true and false.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from parity.observation.model import Exchange, Frame, Observation, Response, Stream, StreamMessage

_VOCABULARY = frozenset({"type", "object", "role", "code", "finish_reason", "stop_reason", "status", "param"})
_SAID_WORD_FOR_WORD = frozenset({"content-type", "www-authenticate", "cache-control"})


def shape(observation: Observation) -> Observation:
    """Return a copy in which every value that a model or a clock decides is replaced by its kind.

    Lists keep one of each shape, and so do the frames of a stream: how many there are is the model's business.
    """
    return observation.model_copy(update={"exchanges": [_exchange(e) for e in observation.exchanges]})


def _exchange(exchange: Exchange) -> Exchange:
    return exchange.model_copy(update={"response": exchange.response and _response(exchange.response)})


def _response(response: Response) -> Response:
    return response.model_copy(
        update={
            "headers": {
                name: value if name in _SAID_WORD_FOR_WORD else "<text>"
                for name, value in response.headers.items()
            },
            "json_body": _value(response.json_body),
            "text": response.text and "<text>",
            "stream": response.stream and _stream(response.stream),
        }
    )


def _stream(stream: Stream) -> Stream:
    message = stream.message
    return Stream(
        frames=[
            Frame.model_validate(frame)
            for frame in _each_once({"event": f.event, "data": _value(f.data)} for f in stream.frames)
        ],
        message=StreamMessage(
            texts=["<text>" if text else "" for text in message.texts],
            finish_reasons=message.finish_reasons,
            tool_calls=_value(message.tool_calls),
            usage=_value(message.usage),
            error=_value(message.error),
            thinking="<text>" if message.thinking else "",
            signature="<text>" if message.signature else "",
            refusal="<text>" if message.refusal else "",
        ),
        done=stream.done,
        broken=stream.broken,
    )


def _value(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {name: _value(item, name) for name, item in value.items()}
        case list():
            return _each_once(_value(item, key) for item in value)
        case str():
            return value if key in _VOCABULARY else "<text>"
        case bool() | None:
            return value
        case _:
            return "<number>"


def _each_once(values: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept

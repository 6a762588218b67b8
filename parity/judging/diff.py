"""Compares two observations of one scenario.

Kinds, in the order in which they are listed:

    missing    an exchange, or a response, that one side doesn't have
    status     the response's status
    header     a response header, by name
    body       a whole body: JSON by leaf, text as one
    message    what a stream adds up to: texts, finish reasons, tool calls, usage, error, how it ended
    frame      a frame of a stream whose message differs, too
    framing    a frame of a stream whose message is equal: cut up or dressed differently, same content
    upstream   what went out
    effect     everything else: frames held back, cancellation, transport failures, what the doubles refused
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from parity.judging.jsondiff import ABSENT, changes, same
from parity.judging.jsonpath import Parts, to_path
from parity.observation.model import Exchange, Observation, Response, Stream

Kind = Literal["missing", "status", "header", "body", "message", "frame", "framing", "upstream", "effect"]


class Difference(BaseModel):
    """Holds one path at which two observations disagree; `ABSENT` stands for nothing there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    kind: Kind
    left: Any
    right: Any


def diff(left: Observation, right: Observation) -> list[Difference]:
    """Return every difference between two normalised observations of one scenario, always in the same order.

    Target and tier are not compared. Raises `ValueError` when the scenarios are two.
    """
    if left.scenario != right.scenario:
        raise ValueError(f"two scenarios can't be compared: {left.scenario} and {right.scenario}")
    found: list[Difference] = []
    for index in range(max(len(left.exchanges), len(right.exchanges))):
        at: Parts = ("exchanges", index)
        if index >= len(left.exchanges):
            found += _changes("missing", ABSENT, right.exchanges[index].model_dump(), at)
        elif index >= len(right.exchanges):
            found += _changes("missing", left.exchanges[index].model_dump(), ABSENT, at)
        else:
            found += _exchange(left.exchanges[index], right.exchanges[index], at)
    for side in ("upstream", "memory"):
        one, other = ([call.model_dump() for call in getattr(seen, side)] for seen in (left, right))
        found += _changes("upstream", one, other, (side,))
    for name in ("held_back", "cancelled", "faults"):
        found += _changes("effect", getattr(left, name), getattr(right, name), (name,))
    return found


def _exchange(left: Exchange, right: Exchange, at: Parts) -> list[Difference]:
    found: list[Difference] = []
    for name in ("method", "path", "failed", "hung_up", "attempts", "raised"):
        found += _changes("effect", getattr(left, name), getattr(right, name), (*at, name))
    at = (*at, "response")
    if left.response is not None and right.response is not None:
        return found + _response(left.response, right.response, at)
    one, other = (
        ABSENT if e.response is None else e.response.model_dump(exclude_none=True) for e in (left, right)
    )
    return found + _changes("missing", one, other, at)


def _response(left: Response, right: Response, at: Parts) -> list[Difference]:
    found = _changes("status", left.status, right.status, (*at, "status"))
    found += _changes("header", left.headers, right.headers, (*at, "headers"))
    for name in ("json_body", "text", "stream"):
        one, other = getattr(left, name), getattr(right, name)
        if isinstance(one, Stream) and isinstance(other, Stream):
            found += _stream(one, other, (*at, name))
        else:
            found += _changes("body", _body(one), _body(other), (*at, name))
    return found


def _body(value: Any) -> Any:
    if isinstance(value, Stream):
        return value.model_dump()
    return ABSENT if value is None else value


def _stream(left: Stream, right: Stream, at: Parts) -> list[Difference]:
    found = _changes("message", left.message.model_dump(), right.message.model_dump(), (*at, "message"))
    for name in ("done", "broken"):
        found += _changes("message", getattr(left, name), getattr(right, name), (*at, name))
    frames = ([f.model_dump() for f in left.frames], [f.model_dump() for f in right.frames])
    return found + _changes("frame" if found else "framing", *frames, (*at, "frames"))


def _changes(kind: Kind, left: Any, right: Any, at: Parts) -> list[Difference]:
    if same(left, right):
        return []
    return [
        Difference(path=to_path(parts), kind=kind, left=one, right=other)
        for parts, one, other in changes(left, right, at)
    ]

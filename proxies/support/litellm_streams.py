"""Keeps what LiteLLM remembers of a stream small.

LiteLLM keeps each chunk until the stream has ended, and puts all of them together on the event loop when the client
leaves before: 0.1 ms a chunk, during which nobody else is served. Pieces of the same text are one chunk here.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

MOST = 512
"""Chunks that are kept as they came before pieces of the same text are joined."""

_LAST = 2
"""Chunks at the end which LiteLLM compares with each other."""

_KEEPS_LITTLE = "keeps_little"
_TEXTS = frozenset({"content", "reasoning_content"})


class Kept(list[Any]):
    """The chunks of a stream, which joins those that are pieces of the same text when there are many."""

    _most = MOST

    def append(self, chunk: Any) -> None:
        super().append(chunk)
        if len(self) > self._most:
            self[:-_LAST] = joined(self[:-_LAST])
            self._most = max(MOST, 2 * len(self))


def keep_little() -> None:
    """Change the streams of the LiteLLM of this process, once; it has to have been imported."""
    module = sys.modules.get("litellm.litellm_core_utils.streaming_handler")
    stream: Any = getattr(module, "CustomStreamWrapper", None)
    if stream is None or hasattr(stream.__init__, _KEEPS_LITTLE):
        return
    original = stream.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        if type(getattr(self, "chunks", None)) is list:
            self.chunks = Kept(self.chunks)

    setattr(__init__, _KEEPS_LITTLE, True)
    stream.__init__ = __init__


def joined(chunks: Iterable[Any]) -> list[Any]:
    """The chunks, those that follow each other with pieces of the same text as one."""
    made: list[Any] = []
    for place, run in groupby(chunks, _place):
        first, *others = run
        if place is None or not others:
            made += [first, *others]
            continue
        _, name = place
        whole = first.model_copy(deep=True)
        text = "".join(getattr(chunk.choices[0].delta, name) for chunk in (first, *others))
        setattr(whole.choices[0].delta, name, text)
        made.append(whole)
    return made


def _place(chunk: Any) -> tuple[Any, str] | None:
    """The choice and the kind of text that a chunk is a piece of; None where it says anything else."""
    choices = getattr(chunk, "choices", None)
    beside = any(getattr(chunk, name, None) is not None for name in ("usage", "provider_specific_fields"))
    if not choices or len(choices) != 1 or beside:
        return None
    choice = choices[0]
    if choice.finish_reason is not None or getattr(choice, "logprobs", None) is not None:
        return None
    delta = choice.delta
    given = {**vars(delta), **(delta.model_extra or {})}
    said = {name for name, value in given.items() if value is not None and name != "role"}
    [name] = said if len(said) == 1 else [""]
    return (choice.index, name) if name in _TEXTS else None

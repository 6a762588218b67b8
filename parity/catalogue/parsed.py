"""Keeps what the built-in scenario files say, parsed, so that the catalogue is read in a tenth of the time.

file's bytes ── their sha256 is in the store ──> data
             └─ else ─> the YAML parser ──> data, put into the store

The store is one JSON file in the cache folder, for one state of the parser. Whatever is wrong with it, it counts as
empty; where it can't be written, nothing is kept. Data that JSON would change isn't put in.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parity.support.files import write_text_atomic

NAME = "scenarios.json"

_PARSER = ("proxies.support.yamlfile", "proxies.support.yaml_nodes")


class Parsed:
    """The store in `folder`; `keep` writes what it has learned. It is read when it is first asked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._asked: dict[str, Any] = {}
        self._learned = False

    def get(self, content: bytes) -> Any:
        """Return what a file of this content says; None where it is unknown."""
        key = hashlib.sha256(content).hexdigest()
        if (data := self._asked.get(key, self._stored.get(key))) is not None:
            self._asked[key] = data
        return data

    def put(self, content: bytes, data: Any) -> None:
        """Learn that a file of this content says `data`."""
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            if json.loads(json.dumps(data)) == data:
                self._asked[hashlib.sha256(content).hexdigest()] = data
                self._learned = True

    def keep(self) -> None:
        """Write what was asked for, if something of it is new; what nobody asked for is forgotten."""
        if self._learned:
            self._learned = False
            with contextlib.suppress(OSError):
                write_text_atomic(self._path, json.dumps({"parser": _parser(), "files": self._asked}))

    @cached_property
    def _stored(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._path.read_bytes())
            return dict(stored["files"]) if stored["parser"] == _parser() else {}
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return {}


def _parser() -> str:
    """Return the sha256 of the parser's own text."""
    specs = [find_spec(name) for name in _PARSER]
    return hashlib.sha256(b"".join(Path(str(s.origin)).read_bytes() for s in specs if s)).hexdigest()

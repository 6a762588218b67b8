"""YAML files whose complaints name a line.

load ──> YamlFile (.data plain Python, .line_of a key path)
pydantic.ValidationError + YamlFile ──explain──> ["file.yaml:12: a.b[0].c: what is wrong, what is right", …]
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from proxies.support import yaml_nodes
from proxies.support.redact import MASK, redact_json, redact_text
from proxies.support.yaml_nodes import MAX_DEPTH, TOO_DEEP, line_of_depth

Loc = Sequence[str | int]

MAX_BYTES = 4 * 1024 * 1024
"""The largest file that is read; a catalogue's is a hundredth of it."""
MAX_VALUES = 200_000
"""Of a document with each alias replaced by what it names: some hundred bytes of aliases can stand for gigabytes."""
_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
# Dates stay the text that was written: `anthropic-version: 2023-06-01` is a header, no date.
_AS_TEXT = {_TAG + "str", _TAG + "timestamp", _TAG + "value", "!"}
_SCALARS = {_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"}
_YES_NO = {"yes": True, "on": True, "no": False, "off": False}
_KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "empty (null)",
}
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


class YamlError(ValueError):
    """A file that is no YAML, or no YAML that we read. `line` is 1-based; 0 when no line is to blame."""

    def __init__(self, message: str, path: Path, line: int) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.message, self.path, self.line = message, path, line


@dataclass
class _Lines:
    """Where a value starts, and the same for what it holds, by key or index."""

    line: int
    members: dict[Any, _Lines] = field(default_factory=dict)


@dataclass(frozen=True)
class YamlFile:
    """`data` is plain: dict, list, str, int, float, bool and None; what an alias names is a shared object."""

    path: Path
    data: Any
    _lines: _Lines = field(repr=False)

    def line_of(self, loc: Loc) -> int:
        """The 1-based line of the key or item at `loc`, or of its nearest ancestor that exists.

        A part that names nothing is stepped over if the next one exists: pydantic puts names of union
        members into its locations.
        """
        here = self._lines
        rest = list(loc)
        while rest:
            part = rest.pop(0)
            if part in here.members:
                here = here.members[part]
            elif not (rest and rest[0] in here.members):
                break
        return here.line

    def where(self, loc: Loc) -> str:
        """`file.yaml:12: a.b[0].c`, the way every message starts."""
        dotted = dotted_path(loc)
        return f"{self.path}:{self.line_of(loc)}: {dotted}" if dotted else f"{self.path}:{self.line_of(loc)}"


def load(path: str | Path, *, yes_no: bool = False) -> YamlFile:
    """Reads one YAML 1.2 document. Raises `YamlError`, also for duplicate keys and unreadable files.

    `yes_no`: the bare words `yes`, `no`, `on` and `off` are booleans, as in YAML 1.1, which PyYAML speaks
    and so does LiteLLM.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(raw) > MAX_BYTES:
            raise _too_large(path) from None
        raise YamlError(f"is not UTF-8 (byte {error.start})", path, 0) from None
    except OSError as error:
        raise YamlError(f"can't be read: {error.strerror or error}", path, 0) from None
    if len(raw) > MAX_BYTES:
        raise _too_large(path)
    return loads(text, path, yes_no=yes_no)


def _too_large(path: Path) -> YamlError:
    return YamlError(f"is larger than {MAX_BYTES // 1024**2} MiB; split it", path, 0)


def loads(text: str, path: str | Path, *, yes_no: bool = False) -> YamlFile:
    """`load` for text already read; `path` only names it in messages."""
    path = Path(path)
    reader = _Reader(path, yes_no)
    try:
        root = yaml_nodes.compose(text)
        data, lines = reader.read(root) if root is not None else (None, _Lines(1))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(_said(error), path, mark.line + 1 if mark else 0) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(f"has a character that YAML doesn't allow: {error.reason}", path, line) from None
    except YAMLError as error:
        raise YamlError(redact_text(str(error)), path, 0) from None
    except RecursionError:
        raise YamlError(TOO_DEEP, path, line_of_depth(text)) from None
    lines.line = 1 if root is None else lines.line
    return YamlFile(path, data, lines)


def explain(
    error: ValidationError, file: YamlFile, model: type[BaseModel] | None = None, at: Loc = ()
) -> list[str]:
    """One sentence a problem, in the order of the file: `file.yaml:12: a.b: what is wrong, what is right`.

    `model` is what the data was validated against; with it an unknown key gets a did-you-mean. `at` is
    where in the file the validated data stands. No value of a secret is ever printed.
    """
    found: dict[str, int] = {}
    for problem in error.errors(include_url=False):
        loc = (*at, *problem["loc"])
        sentence = _sentence(problem, model)
        found.setdefault(redact_text(f"{file.where(loc)}: {sentence}"), file.line_of(loc))
    return sorted(found, key=lambda text: found[text])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known word, else the known words, else nothing."""
    words = list(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(sorted(words))}" if 0 < len(words) <= 15 else ""


def dotted_path(loc: Loc) -> str:
    """`("a", "b", 0, "c")` as `a.b[0].c`."""
    out = ""
    for part in loc:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out


class _Reader:
    """Turns composed nodes into plain data and lines, with merge keys, and without surprises."""

    def __init__(self, path: Path, yes_no: bool) -> None:
        self._path = path
        self._constructor = yaml_nodes.reader().constructor
        self._yes_no = yes_no
        self._done: dict[int, tuple[Any, _Lines]] = {}
        self._sizes: dict[int, int] = {}
        self._values = 0
        self._open: set[int] = set()

    def read(self, node: Node) -> tuple[Any, _Lines]:
        key = id(node)
        if key in self._open:
            raise self._error("an anchor can't hold an alias to itself", node)
        if len(self._open) >= MAX_DEPTH:
            raise self._error(TOO_DEEP, node)
        if key not in self._done:
            before = self._values
            self._count(1, node)
            self._open.add(key)
            self._done[key] = self._build(node)
            self._open.discard(key)
            self._sizes[key] = self._values - before
        else:
            self._count(self._sizes[key], node)
        return self._done[key]

    def _count(self, values: int, node: Node) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._error(
                f"stands for more than {MAX_VALUES:,} values with its aliases written out; this one takes it over",
                node,
            )

    def _build(self, node: Node) -> tuple[Any, _Lines]:
        lines = _Lines(node.start_mark.line + 1)
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag == _TAG + "map":
            return self._mapping(node, lines), lines
        if isinstance(node, SequenceNode) and tag == _TAG + "seq":
            items = []
            for index, child in enumerate(node.value):
                item, lines.members[index] = self.read(child)
                items.append(item)
            return items, lines
        if isinstance(node, ScalarNode) and tag in _AS_TEXT:
            if self._yes_no and not node.style and str(node.value).lower() in _YES_NO:
                return _YES_NO[str(node.value).lower()], lines
            return str(node.value), lines
        if isinstance(node, ScalarNode) and tag in _SCALARS:
            return self._constructor.construct_object(node), lines
        raise self._error(f"the tag {tag.replace(_TAG, '!!')} is not supported; write plain values", node)

    def _mapping(self, node: MappingNode, lines: _Lines) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, tuple[Any, _Lines]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for name, found in self._merged(value_node).items():
                    merged.setdefault(name, found)
                continue
            if not isinstance(key_node, ScalarNode):
                raise self._error("a key must be a plain word or number", key_node)
            key, _ = self.read(key_node)
            if key in own:
                first = lines.members[key].line
                raise self._error(
                    redact_text(f"the key {key!r} is there twice, first in line {first}"), key_node
                )
            own[key], below = self.read(value_node)
            lines.members[key] = _Lines(key_node.start_mark.line + 1, below.members)
        for name, (value, where) in merged.items():
            if name not in own:
                own[name], lines.members[name] = value, where
        return own

    def _merged(self, node: Node) -> dict[Any, tuple[Any, _Lines]]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        found: dict[Any, tuple[Any, _Lines]] = {}
        for part in parts:
            if not isinstance(part, MappingNode):
                raise self._error("`<<` takes an alias of a mapping, or a list of such aliases", part)
            data, lines = self.read(part)
            for name, value in data.items():
                found.setdefault(name, (value, lines.members[name]))
        return found

    def _error(self, message: str, node: Node) -> YamlError:
        return YamlError(message, self._path, node.start_mark.line + 1)


def _said(error: MarkedYAMLError) -> str:
    said = ", ".join(part for part in (error.context, error.problem) if part)
    return redact_text(" ".join(said.split()) or "is no valid YAML")


def _sentence(problem: Any, model: type[BaseModel] | None) -> str:
    kind, loc, value = problem["type"], problem["loc"], problem.get("input")
    context = problem.get("ctx", {})
    if kind == "extra_forbidden":
        hint = did_you_mean(str(loc[-1]), _known_names(model, loc[:-1])) if model else ""
        return f"unknown key; {hint}" if hint else "unknown key; remove it"
    if kind == "missing":
        return "is missing; add it"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {_kind(value)}"
    if kind == "literal_error":
        # Under the name of its key, so that the redactor knows a secret when it sees one.
        name = str(loc[-1]) if loc else ""
        # All of it or nothing: what a redactor leaves of a value might be half a secret.
        shown = value if redact_json({name: value})[name] == value else MASK
        return f"must be {context['expected']}, not {shown!r}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", problem["msg"]))
    said = str(problem["msg"])
    return said.replace("Input should be", "must be").replace("Input should have", "must have")


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _known_names(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the mapping at `loc` may have by its model; empty when `loc` leads into no model."""
    here: list[Any] = [model]
    for part in loc:
        models = [m for m in here if _is_model(m)]
        if isinstance(part, int):
            here = [arg for a in here for arg in typing.get_args(a) if arg is not Ellipsis]
        else:
            named = [f.annotation for m in models for n, f in m.model_fields.items() if part in (n, f.alias)]
            if named or models:
                # No such field: the name or the discriminator of a union member, which narrows to it.
                here = named or [m for m in models if m.__name__ == part or _discriminated(m, part)]
            else:
                here = [typing.get_args(a)[-1] for a in here if typing.get_args(a)]
        here = [m for a in here for m in _members(a)]
    return [f.alias or n for m in here if _is_model(m) for n, f in m.model_fields.items()]


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, `Annotated` taken off."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [m for arg in typing.get_args(annotation) for m in _members(arg)]
    return [annotation]


def _discriminated(model: type[BaseModel], tag: str) -> bool:
    return any(tag in typing.get_args(field.annotation) for field in model.model_fields.values())


def _is_model(annotation: Any) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

"""Composes the nodes of a YAML 1.2 document, with a parser in C where the document is plain.

ruamel.yaml reads YAML 1.2 and explains what is wrong, but in Python: a catalogue of scenarios takes it seconds.
PyYAML's C parser takes a tenth of that. It speaks YAML 1.1, so it only says where values begin and end; what a word
means is decided by ruamel's rules for 1.2. What the C parser refuses, or the two might read differently, ruamel reads
from the start.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner, ScannerError

MAX_DEPTH = 100
"""Lists and mappings in one another."""

TOO_DEEP = f"is nested too deeply: {MAX_DEPTH} lists and mappings in one another at most"

_NOT_PLAIN = re.compile(
    "[\\t\\r\\x85\\u2028\\u2029\\ufeff]|^(%|---|\\.\\.\\.)|(^| )[|>][-+0-9]* *(#[^\\n]*)?\\n *(\\n|#|$)",
    re.MULTILINE,
)
"""Tabs, line ends of YAML 1.1 alone, byte order marks, directives, marks of documents, and block scalars that begin
with an empty line or with what looks like a comment."""


def compose(text: str) -> Node | None:
    """The root of the only document in `text`, None if it is empty.

    Raises the errors of ruamel.yaml, and `RecursionError` for collections that are nested too deeply.
    """
    if _NOT_PLAIN.search(text) is None:
        try:
            return _Composer(text).compose()
        except (_NotPlainError, yaml.YAMLError):
            pass
    root: Node | None = reader().compose(text)
    return root


def reader() -> YAML:
    """ruamel's reader, in Python alone."""
    made = YAML(typ="safe", pure=True)
    made.Scanner = _Scanner
    return made


def line_of_depth(text: str) -> int:
    """Find the line in which a document is nested more than `MAX_DEPTH` deep, without nesting calls; 0 for none."""
    depth = 0
    for event in reader().parse(text):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return int(event.start_mark.line) + 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
    return 0


class _NotPlainError(Exception):
    """Says that ruamel must read this document."""


class _Composer:
    """Makes ruamel's nodes from the events of PyYAML's C parser."""

    def __init__(self, text: str) -> None:
        if not yaml.__with_libyaml__:
            raise _NotPlainError
        self._parser = yaml.cyaml.CParser(text)
        self._resolver = reader().resolver
        self._anchors: dict[str, Node] = {}

    def compose(self) -> Node | None:
        self._parser.get_event()  # the stream starts
        if isinstance(self._parser.get_event(), yaml.StreamEndEvent):
            return None
        root = self._node(self._parser.get_event(), MAX_DEPTH)
        self._parser.get_event()  # the document ends
        if not isinstance(self._parser.get_event(), yaml.StreamEndEvent):
            raise _NotPlainError
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _NotPlainError
            return self._anchors[event.anchor]
        if event.tag is not None or event.anchor in self._anchors or depth < 0:
            raise _NotPlainError
        if isinstance(event, yaml.ScalarEvent):
            tag = self._resolver.resolve(ScalarNode, event.value, event.implicit)
            node: Node = ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)
            return self._named(event, node)
        if isinstance(event, yaml.SequenceStartEvent):
            tag = self._resolver.resolve(SequenceNode, None, event.implicit)
            node = self._named(event, SequenceNode(tag, [], event.start_mark, None))
            while not isinstance(inner := self._parser.get_event(), yaml.SequenceEndEvent):
                node.value.append(self._node(inner, depth - 1))
            return node
        tag = self._resolver.resolve(MappingNode, None, event.implicit)
        node = self._named(event, MappingNode(tag, [], event.start_mark, None))
        while not isinstance(inner := self._parser.get_event(), yaml.MappingEndEvent):
            key = self._node(inner, depth - 1)
            node.value.append((key, self._node(self._parser.get_event(), depth - 1)))
        return node

    def _named(self, event: Any, node: Node) -> Node:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node


class _Scanner(Scanner):
    """Refuses brackets that are nested too deeply where they stand; ruamel's takes quadratic time for them."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        if len(self.flow_context) >= MAX_DEPTH:
            raise ScannerError(None, None, TOO_DEEP, self.reader.get_mark())
        super().fetch_flow_collection_start(TokenClass, to_push)

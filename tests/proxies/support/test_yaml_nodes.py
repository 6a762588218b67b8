"""Two parsers, one meaning: what the one in C composes is what ruamel composes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node, ScalarNode

from parity.catalogue.loading import BUILT_IN
from proxies.support import yaml_nodes
from tests.root import ROOT

needs_c = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without its C parser")
FILES = [*sorted(Path(BUILT_IN).rglob("*.yaml")), ROOT / "parity/divergences.yaml"]
WORDS = [*"a1~é…!:{}[],'#-@`%\\", "0o7", "yes", "x:y", "1:2", "---", "...", "\\/", "*x"]
SPACED = [" ", " #", '"', "<<: ", "&x ", "!!str ", "b: ", "- ", "? ", ": ", "\t", "\r", "\u2028", "\x00"]
LINES = ["\n", "\n  ", "\n    ", "|\n", "> \n", ">+\n  ", "|-\n  "]
PIECES = [*WORDS, *SPACED, *LINES]


def drawn(node: Node | None, seen: dict[int, int]) -> Any:
    """All that is told by a node and what it holds, but where a value that isn't there would stand."""
    if node is None or id(node) in seen:
        return node and seen[id(node)]
    seen[id(node)] = len(seen)
    own = (type(node), str(node.tag), getattr(node, "style", None) or None)
    if isinstance(node, ScalarNode):
        written = bool(node.value or node.style)
        return *own, node.value, node.start_mark.line if written else None
    inner = [
        tuple(drawn(n, seen) for n in item) if isinstance(item, tuple) else drawn(item, seen)
        for item in node.value
    ]
    return *own, node.start_mark.line, inner


def composed(text: str) -> Any:
    """The outcome of `compose`: a drawing, or the class of the error."""
    try:
        return drawn(yaml_nodes.compose(text), {})
    except (YAMLError, RecursionError) as error:
        return type(error)


def by_ruamel(text: str) -> Any:
    try:
        return drawn(yaml_nodes.reader().compose(text), {})
    except (YAMLError, RecursionError) as error:
        return type(error)


@needs_c
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_our_files_are_read_in_c(file: Path) -> None:
    """No file of ours is left to the parser in Python, which takes ten times as long."""
    text = file.read_text(encoding="utf-8")
    assert yaml_nodes._NOT_PLAIN.search(text) is None
    assert yaml_nodes._Composer(text).compose() is not None


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_text_means_the_same_to_both(text: str) -> None:
    """Whatever is written: the same values in the same lines, or the same refusal."""
    assert composed(text) == by_ruamel(text)


@pytest.mark.parametrize("file", FILES[:: len(FILES) // 20], ids=lambda file: file.name)
def test_our_files_mean_the_same_to_both(file: Path) -> None:
    """A sample of the catalogue and of the ledger, whole."""
    text = file.read_text(encoding="utf-8")
    assert composed(text) == by_ruamel(text)


@pytest.mark.parametrize(
    "deep", ["[" * 100_000, "- " * 100_000, "{a: " * 5_000], ids=["flow", "block", "mapping"]
)
def test_depth_has_an_end(deep: str) -> None:
    """Brackets without end neither take the process with them nor are read."""
    with pytest.raises((YAMLError, RecursionError)):
        yaml_nodes.compose(deep)

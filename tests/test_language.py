"""How docstrings are worded: they begin with a verb and name their subject, which can be tested in part."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.root import ROOT

PACKAGES = ("parity", "proxies")
NO_SUBJECT = ("What",)
NO_VERB = ("A", "An", "The", "What", "Which", "Whether", "How")


def _trees(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield every docstring, of attributes too: each string that is a statement of its own."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as string):
                yield string


def _public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def _first_word(docstring: object) -> str:
    words = str(docstring).split(maxsplit=1)
    return words[0].rstrip(".,:;") if words else ""


def _beginning_with_what(tree: ast.Module) -> list[int]:
    return [string.lineno for string in _strings(tree) if _first_word(string.value) in NO_SUBJECT]


def _without_verb(tree: ast.Module) -> list[int]:
    return [
        function.lineno
        for function in _public_functions(tree)
        if _first_word(ast.get_docstring(function) or "") in NO_VERB
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_docstring_begins_with_what(package: str) -> None:
    """A docstring names its subject, so none of a module, class, function or attribute begins with "What"."""
    assert [f"{name}:{line}" for name, tree in _trees(package) for line in _beginning_with_what(tree)] == []


@pytest.mark.parametrize("package", ["parity"])
def test_a_public_functions_docstring_begins_with_no_article_or_question_word(package: str) -> None:
    """A public function's docstring begins with its verb, not with an article or a question word."""
    assert [f"{name}:{line}" for name, tree in _trees(package) for line in _without_verb(tree)] == []


def test_both_kinds_of_fault_are_found() -> None:
    """The rules find a fault in a function, a class, a module and an attribute, and pass what keeps them."""
    faulty = ast.parse(
        '"""What it is."""\nx = 1\n"""What x is."""\nclass C:\n    """What C is."""\n'
        '    def f(self):\n        """The value."""\n    def _g(self):\n        """The value."""\n'
        'def h():\n    """Return the value."""\n'
    )
    assert sorted(_beginning_with_what(faulty)) == [1, 3, 5]
    assert _without_verb(faulty) == [6]

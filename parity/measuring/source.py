"""Counts in the source what each architecture relies on, and how much code it alone has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from parity.measuring.model import Names, Source

ROOT = Path(__file__).parents[2] / "proxies"
ARMS = ("binary", "sdk")
_WORDS = re.compile(
    r"(x-litellm|llm_provider)-[a-z-]*|litellm_[a-z_]+|LITELLM_[A-Z_]+|--[a-z][a-z_]+|/health/liveliness"
)
PUBLIC = ("litellm.exceptions.", "litellm.types.")


def measure(root: Path = ROOT) -> Source:
    """Count names of LiteLLM's and lines of code, by architecture; what both share counts for neither."""
    texts = {
        arm: [path.read_text(encoding="utf-8") for path in sorted((root / arm).rglob("*.py"))] for arm in ARMS
    }
    names = {arm: surface(texts[arm]) for arm in ARMS}
    functions = called((root / "dialects" / "kinds.py").read_text(encoding="utf-8"))
    public = sorted({*names["sdk"].public, *functions})  # the sdk architecture looks them up by name
    return Source(
        names={**names, "sdk": names["sdk"].model_copy(update={"public": public})},
        lines={arm: sum(map(code_lines, texts[arm])) for arm in ARMS},
    )


def surface(texts: list[str]) -> Names:
    """Return the names of LiteLLM's that these modules use, those of programs that they hold as text too."""
    found = {name for text in texts for name in _names(ast.parse(text))}
    whole = {n for n in found if not any(other.startswith(f"{n}.") for other in found)}
    internal = sorted(n for n in whole if _internal(n))
    words = {node.value for text in texts for node in ast.walk(ast.parse(text)) if _is_word(node)}
    return Names(public=sorted(whole - set(internal)), internal=internal, words=sorted(words))


def _is_word(node: ast.AST) -> TypeGuard[ast.Constant]:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_WORDS.fullmatch(node.value))
    )


def _internal(name: str) -> bool:
    parts = name.split(".")[1:]
    if any(part.startswith("_") and not part.startswith("__") for part in parts):
        return True
    return len(parts) > 1 and parts[0].islower() and not name.startswith(PUBLIC)


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names below the modules and names of LiteLLM's that each function, or the module, imports itself."""
    aliases: dict[str, str] = {}
    inner: list[ast.AST] = []
    for node in _own(tree, inner):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] == "litellm":
                        aliases[alias.asname or "litellm"] = alias.name if alias.asname else "litellm"
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] == "litellm":
                for alias in names:
                    aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
                    yield f"{module}.{alias.name}"
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="_litellm"))):
                aliases[name] = "litellm"
            case ast.Constant(value=str(text)) if "litellm" in text and "import" in text:
                yield from _of_program(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (chain := _chain(node, aliases)):
            yield chain
    for function in inner:
        yield from _names(function)


def _own(tree: ast.AST, inner: list[ast.AST]) -> Iterator[ast.AST]:
    """Yield what stands in a function or module, and collect the functions in it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.append(node)
        else:
            yield node
            yield from _own(node, inner)


def _of_program(text: str) -> Iterator[str]:
    try:
        program = ast.parse(text)
    except SyntaxError:
        return  # prose
    yield from _names(program)


def _chain(node: ast.Attribute, aliases: Mapping[str, str]) -> str:
    """Return the whole name of an attribute of something of LiteLLM's; empty for any other."""
    parts = [node.attr]
    here: ast.expr = node.value
    while isinstance(here, ast.Attribute):
        parts.append(here.attr)
        here = here.value
    match here:
        case ast.Name(id=name) if name in aliases:
            return ".".join([aliases[name], *reversed(parts)])
        case ast.Call(func=ast.Name(id="_litellm")):
            return ".".join(["litellm", *reversed(parts)])
    return ""


def called(text: str) -> set[str]:
    """Return LiteLLM's functions that the table of dialects names: the second field of each `Kind`."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id="Kind"), args=[_, ast.Constant(value=str(name)), *_]):
                found.add(f"litellm.{name}")
    return found


def code_lines(text: str) -> int:
    """Count the lines that hold code: no blank ones, no comments, no docstrings."""
    tree = ast.parse(text)
    docs: set[int] = set()
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            docs |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and number not in docs for number, line in lines)

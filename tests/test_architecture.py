"""Which module may import which: read from the source, and for litellm proven by importing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.root import ROOT

PACKAGES = ("proxies", "parity")
LONGEST = 400

ORDER = {
    "proxies": (
        {"__main__"},
        {"cli"},
        {"commands"},
        {"interceptor"},
        {"binary", "sdk"},
        {"server"},
        {"front"},
        {"dialects"},
        {"counting"},
        {"memory", "headers", "upstream_errors"},
        {"shared"},
        {"redis_cookies"},
        {"config"},
        {"litellm_refusals"},
        {"provider_message", "errors"},
        {"support"},
        {"backend", "sessions"},
        {"cookies"},
        {"egress", "fast_pool"},
        {"limited_body"},
        {"answers"},
        {"claude_messages"},
        {"chunks"},
    ),
    "parity": (
        {"pytest_entry"},
        {"entry"},
        {"cli"},
        {"commands"},
        {"matrix"},
        {"plugin"},
        {"versions"},
        {"kit", "recorder"},
        {"report"},
        {"decision"},
        {"measuring"},
        {"bench"},
        {"gateways"},
        {"targets"},
        {"judging"},
        {"provider"},
        {"recording"},
        {"observation"},
        {"catalogue"},
        {"support"},
    ),
}
"""The folders and modules of each package, from the door down: a line uses only lines below it, also for types."""

LEAVES = {
    "proxies.support.command_group",
    "proxies.support.console",
    "proxies.support.garbage",
    "proxies.support.jsontext",
    "proxies.support.litellm_environment",
    "proxies.support.redact",
    "proxies.support.terminal",
    "proxies.support.yaml_nodes",
    "proxies.support.yamlfile",
}
"""What the harness may use of the proxies' package anywhere: utilities that know nothing of a proxy."""

NEEDS_LITELLM = {
    "parity.recorder.recorder",
    "parity.recording.litellm_import",
    "parity.recorder.probe",
    "parity.recording.sdk_objects",
    "parity.versions.alone",
}
"""What the binary side never imports."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def imports(tree: ast.AST, known: set[str], *, at_import_time: bool = False) -> Iterator[str]:
    """The modules that are imported: of `from a import b`, `a.b` if `known` has it, else `a`.

    `at_import_time` leaves out what stands in a function or under `if TYPE_CHECKING`.
    """
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, "imports are absolute here"
                for alias in names:
                    whole = f"{module}.{alias.name}"
                    yield whole if whole in known else str(module)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if at_import_time:
                pass
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse) if at_import_time:
                yield from imports(ast.Module(orelse, []), known, at_import_time=True)
            case _:
                yield from imports(node, known, at_import_time=at_import_time)


def arrows(name: str, *, at_import_time: bool = False) -> set[str]:
    return set(imports(TREES[name], set(SOURCES), at_import_time=at_import_time))


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, the first one repeated at the end; empty when there is none."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_is_something_to_check() -> None:
    """Both packages are found, with their parts."""
    assert {"proxies.binary.app", "proxies.front.app", "parity.targets.arms", "parity.report.html"} <= set(
        SOURCES
    )


def test_the_proxies_do_not_know_the_harness() -> None:
    """No module of proxies imports parity, not even in a function."""
    found = {
        (name, m) for name in SOURCES if inside(name, "proxies") for m in arrows(name) if inside(m, "parity")
    }
    assert found == set()


def test_the_harness_knows_the_proxies_in_one_place() -> None:
    """parity imports proxies in targets/arms.py alone, but for the leaf utilities and the one table of routes."""
    users = {
        name
        for name in SOURCES
        if inside(name, "parity")
        for module in arrows(name) - LEAVES
        if inside(module, "proxies")
    }
    assert users == {"parity.targets.arms"}


def test_leaves_are_leaves() -> None:
    """What the harness may use anywhere imports nothing of the project but another leaf."""
    for leaf in LEAVES:
        own = {m for m in arrows(leaf) if inside(m, "proxies") or inside(m, "parity")}
        assert own <= LEAVES, leaf


def parts_of(folder: str, graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Sum `graph` up to the folders and modules right below `folder`; its own `__init__` is its face, and no part."""
    below = f"{folder}."

    def part(module: str) -> str:
        return module.removeprefix(below).partition(".")[0] if module.startswith(below) else ""

    summed: dict[str, set[str]] = {}
    for module, used in graph.items():
        if own := part(module):
            summed.setdefault(own, set()).update({part(other) for other in used} - {"", own})
    return summed


def upward(graph: dict[str, set[str]], order: Sequence[set[str]]) -> list[str]:
    """List the arrows that don't lead to a lower line of `order`, and the parts that it doesn't name."""
    line = {part: number for number, parts in enumerate(order) for part in parts}
    unknown = [f"{part} stands in no line" for part in sorted(graph) if part not in line]
    wrong = [
        f"{part} uses {other}"
        for part, used in sorted(graph.items())
        for other in sorted(used)
        if part in line and other in line and line[other] <= line[part]
    ]
    return unknown + wrong


GRAPH = {name: {module for module in arrows(name) if module in SOURCES} - {name} for name in SOURCES}
"""Who imports whom, in functions and for types too."""

FOLDERS = sorted({name.rpartition(".")[0] for name in SOURCES if "." in name})


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    "at_import_time", [True, False], ids=["at run time", "for types and in functions too"]
)
def test_no_import_circles(package: str, at_import_time: bool) -> None:
    """Within a package the modules can be put in an order in which each imports only earlier ones."""
    names = {name for name in SOURCES if inside(name, package)}
    # A package's face imports what is inside of it, and is only a second name for it.
    graph = {name: (arrows(name, at_import_time=at_import_time) & names) - {name} for name in names}
    assert circle(graph) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circles_between_folders(folder: str) -> None:
    """The folders and modules within a folder can be put in such an order, too."""
    assert circle(parts_of(folder, GRAPH)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_down(package: str) -> None:
    """Every folder and module stands in a line, and uses only lines below its own."""
    assert upward(parts_of(package, GRAPH), ORDER[package]) == []


@pytest.mark.parametrize("name", SOURCES)
def test_modules_are_short(name: str) -> None:
    """A module that grows past its length is two."""
    assert len(SOURCES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_the_checks_see_what_they_look_for() -> None:
    """Nested, aliased and type-only imports are told apart, and a circle is found."""
    tree = ast.parse(
        "import a.b as c\n"
        "from typing import TYPE_CHECKING\n"
        "from pack import module as m, nothing\n"
        "if TYPE_CHECKING:\n    import only.types\nelse:\n    import other\n"
        "class C:\n    import in_class\n"
        "def f():\n    from pack.late import x\n"
    )
    always = {"a.b", "typing", "pack", "pack.module", "other", "in_class"}
    assert set(imports(tree, {"pack.module"}, at_import_time=True)) == always
    assert set(imports(tree, {"pack.module"})) == always | {"only.types", "pack.late"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_the_order_is_seen() -> None:
    """An arrow up, one within a line, and a part that nobody ordered are each found; a face is no part."""
    graph = {
        "p": {"p.a.x"},
        "p.a.x": {"p.b", "p.a.y"},
        "p.a.y": set(),
        "p.b": {"p.a.y", "q"},
        "p.c": {"p.d"},
        "p.d": set(),
    }
    parts = parts_of("p", graph)
    assert parts == {"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": set()}
    assert upward(parts, [{"a"}, {"b", "c", "d"}]) == ["b uses a", "c uses d"]
    assert upward(parts, [{"b"}, {"a", "c"}]) == ["d stands in no line", "a uses b"]


BLOCKED = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "litellm":
            raise ModuleNotFoundError("litellm is not to be had", name="litellm")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
assert "litellm" not in sys.modules
print(len(sys.argv) - 1)
"""


def import_without_litellm(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_binary_side_never_imports_litellm() -> None:
    """Where litellm can't be imported, every module outside the sdk's own can, one after the other."""
    names = sorted(set(SOURCES) - NEEDS_LITELLM - {"proxies.__main__"})  # that one runs on import
    ended = import_without_litellm(*names)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [str(len(names))]


@pytest.mark.parametrize(
    "name", sorted(NEEDS_LITELLM - {"proxies.sdk.backend"})
)  # that one waits until it is used
def test_what_needs_litellm_says_so_when_imported(name: str) -> None:
    """The modules that are left out really need it, and fail with ImportError, which their users catch."""
    ended = import_without_litellm(name)
    assert ended.returncode != 0
    assert "litellm is not to be had" in ended.stderr

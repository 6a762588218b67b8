"""The table of promises in docs/testing.md says what is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.catalogue.loading import Catalogue
from tests.root import ROOT

PAGE = ROOT / "docs" / "testing.md"
COUNTS = {
    "1 routing": 10,
    "2 context": 4,
    "3 ports": 3,
    "4 sessions": 6,
    "5 end to end": 12,
    "6 envelope": 6,
    "7 streaming": 2,
    "8 handler": 8,
}
BOTH = {"binary", "sdk"}
LINK = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")
SKIPS = ("skip", "xfail")


@dataclass(frozen=True)
class Promise:
    """One row. `where` holds pairs of a scenario's id or a test's name, and the file as the page links it."""

    group: str
    text: str
    where: tuple[tuple[str, str], ...]
    targets: frozenset[str]
    tiers: frozenset[str]


def promises(page: str) -> list[Promise]:
    """Every row of every table on the page that has the five columns."""
    found = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if not line.startswith("| ") or len(cells) != 5 or cells[1] == "promise":
            continue
        links = tuple((match[1], match[2]) for match in LINK.finditer(cells[2]))
        found.append(
            Promise(
                cells[0], cells[1], links, frozenset(cells[3].split(", ")), frozenset(cells[4].split(", "))
            )
        )
    return found


PROMISES = promises(PAGE.read_text(encoding="utf-8"))
every_promise = pytest.mark.parametrize("promise", PROMISES, ids=[f"{p.group}: {p.text}" for p in PROMISES])


def problems(promise: Promise, catalogue: Catalogue, root: Path = ROOT) -> list[str]:
    """What the row says that isn't so."""
    wrong = [] if promise.where else ["nothing is linked"]
    tiers: set[str] = set()
    for name, link in promise.where:
        path = (root / "docs" / link).resolve()
        if not path.is_file():
            wrong.append(f"{link} is no file")
        elif path.suffix in (".yaml", ".yml"):
            scenario = next((s for s in catalogue if s.id == name), None)
            if scenario is None or catalogue.sources[name].resolve() != path:
                wrong.append(f"{link} has no scenario {name}")
            else:
                tiers |= set(scenario.tiers)
                if promise.targets != BOTH:
                    wrong.append(f"{name} is played on both proxies, the row says {sorted(promise.targets)}")
        elif path.parent.name == "commands":
            tiers.add("benchmark")
            if path.name != name or path.stem not in _functions(path):
                wrong.append(f"{link} is no command")
        else:
            tiers.add("live" if path.parent.name == "live" else "mocked")
            wrong += _wrong_with_test(name, path, promise.targets)
    if tiers and tiers != promise.tiers:
        wrong.append(f"runs in {sorted(tiers)}, the row says {sorted(promise.tiers)}")
    return wrong


def _wrong_with_test(name: str, path: Path, targets: frozenset[str]) -> list[str]:
    functions = _functions(path)
    test = functions.get(name)
    if test is None or not name.startswith("test_") or not path.name.startswith("test_"):
        return [f"{path.name} has no test {name}"]
    wrong = []
    if any(mark in ast.unparse(decorator) for decorator in test.decorator_list for mark in SKIPS):
        wrong.append(f"{name} is skipped or expected to fail")
    if targets & BOTH and not _takes_both(name, path):
        wrong.append(
            f"{name} isn't run for each proxy: it asks for no `arm`, nor for anything made of all ARMS"
        )
    return wrong


def _functions(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}


def _takes_both(name: str, path: Path) -> bool:
    """Whether a test, or a fixture that it asks for by some way, is for one `arm` after the other or for all."""
    known: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    for file in (path.parent / "conftest.py", path):
        known |= _functions(file) if file.is_file() else {}
    asked, left = set[str](), [name]
    while left:
        asked.add(now := left.pop())
        if now == "arm" or (now in known and "ARMS" in ast.unparse(known[now])):
            return True
        left += {arg.arg for arg in known[now].args.args} - asked if now in known else set()
    return False


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def test_no_promise_is_missing() -> None:
    """The seven groups and the handler have as many rows as they have promises, and there are edges besides."""
    counted = Counter(promise.group for promise in PROMISES)
    assert counted.pop("edge") >= 9
    assert counted == COUNTS
    assert len({promise.text for promise in PROMISES}) == len(PROMISES)


@every_promise
def test_each_is_where_the_table_says(promise: Promise, catalogue: Catalogue) -> None:
    """Scenario or test, it exists in the linked file, is never skipped, and runs in those tiers on those targets."""
    assert problems(promise, catalogue) == []


SCENARIO = "[`chat.plain`](../parity/scenarios/chat/plain.yaml)"
TEST = "[`test_with_memory`](../tests/promises/test_handler.py)"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (
            f"| g | t | {SCENARIO.replace('plain`', 'gone`')} | binary, sdk | mocked, live |",
            "no scenario chat.gone",
        ),
        (f"| g | t | {SCENARIO.replace('plain.', 'groq.')} | binary, sdk | mocked, live |", "no scenario"),
        (f"| g | t | {SCENARIO.replace('plain.', 'gone.')} | binary, sdk | mocked, live |", "is no file"),
        (f"| g | t | {SCENARIO} | binary, sdk | mocked |", "runs in ['live', 'mocked']"),
        (f"| g | t | {SCENARIO} | sdk | mocked, live |", "is played on both"),
        (f"| g | t | {TEST.replace('with', 'for')} | binary, sdk | mocked |", "has no test test_for_memory"),
        (f"| g | t | {TEST} | binary, sdk | live |", "runs in ['mocked']"),
        ("| g | t | somewhere | binary, sdk | mocked |", "nothing is linked"),
        (
            "| g | t | [`test_any_text_survives`](../tests/proxies/support/test_jsontext.py) | binary, sdk | mocked |",
            "asks for no `arm`",
        ),
    ],
)
def test_a_row_that_is_not_so_is_told(row: str, problem: str, catalogue: Catalogue) -> None:
    """Each way in which the table could be wrong is noticed."""
    [promise] = promises(row)
    assert any(problem in told for told in problems(promise, catalogue))


def test_a_skipped_test_keeps_no_promise(tmp_path: Path, catalogue: Catalogue) -> None:
    """A test that is skipped, or expected to fail, is no place for a promise."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "test_x.py").write_text("@pytest.mark.skip(reason='later')\ndef test_it(arm): ...\n")
    [promise] = promises("| g | t | [`test_it`](../test_x.py) | binary, sdk | mocked |")
    assert problems(promise, catalogue, tmp_path) == ["test_it is skipped or expected to fail"]

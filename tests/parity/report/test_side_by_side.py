"""One scenario with both sides: for eyes on a terminal, whole anywhere else."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.text import Text

from parity.catalogue.loading import Catalogue
from parity.judging.ledger import Ledger
from parity.judging.verdict import Cell, judge
from parity.report import side_by_side
from tests.parity.builders import observation, scenario

LONG = " ".join(["many words"] * 200)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(file: io.StringIO) -> str:
    """A scenario with a long id whose sides differ in a long text."""
    mine = scenario(f"mine.{'x' * 120}", json={"said": LONG})
    observations = [observation(mine.id, arm, json={"said": f"{LONG} {arm}"}) for arm in ("binary", "sdk")]
    cells = [Cell(scenario=mine.id, target=o.target) for o in observations]
    verdict = judge(cells, observations, Catalogue((mine,), {}), Ledger(), "mocked", ("binary", "sdk"))
    side_by_side.show(mine, observations, verdict, file)
    return file.getvalue()


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("colours", [False, True])
def test_off_a_terminal_nothing_is_wrapped_or_cut(monkeypatch: pytest.MonkeyPatch, colours: bool) -> None:
    """Id, scenario, both sides and the differing values are whole, also where the environment forces colours."""
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    lines = printed(io.StringIO()).splitlines()
    starts = [number for number, line in enumerate(lines) if line == "{"]
    ends = [number for number, line in enumerate(lines) if line == "}"]
    *sides, said = (
        json.loads("\n".join(lines[start : end + 1])) for start, end in zip(starts, ends, strict=True)
    )
    assert said["expect"]["responses"][0]["json"] == {"said": LONG}
    assert [side["exchanges"][0]["response"]["json_body"]["said"] for side in sides] == [
        f"{LONG} binary",
        f"{LONG} sdk",
    ]
    assert f"mine.{'x' * 120}" in lines[0]
    assert "binary" in lines[starts[0] - 1]
    assert "sdk" in lines[starts[1] - 1]
    assert f'  sdk: "{LONG} sdk"' in lines


def test_on_a_terminal_the_sides_stand_next_to_each_other() -> None:
    """Both names are in one line of a table, and no line is wider than the terminal."""
    text = printed(Terminal())
    lines = [line.rstrip() for line in Text.from_ansi(text).plain.splitlines()]
    assert any("binary" in line and "sdk" in line and "┃" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b[" in text  # colours


def test_the_difference_comes_first_and_its_line_stands_out() -> None:
    """Who opens a scenario reads what differs before both sides; in these, the line that differs is reversed."""
    lines = printed(io.StringIO()).splitlines()
    assert lines.index("DIFFERS $.exchanges[0].response.json_body.said") < lines.index("binary")
    assert side_by_side.differing(["same\none\nsame", "same\nother\nmore\nsame"]) == [{2}, {2, 3}]
    assert side_by_side.differing(["alone"]) == [set()]
    marked = [line for line in printed(Terminal()).splitlines() if re.search(r"\x1b\[[0-9;]*\b7\b", line)]
    assert marked
    assert all("exchanges" not in line for line in marked)

from __future__ import annotations

import io

import pytest

from parity.report import terminal
from parity.report.terminal import render, show
from tests.parity.report.verdicts import KEY, LEAKY, full, passing

ESC = "\x1b["


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_verdict_line_is_last_and_whole() -> None:
    """However narrow the terminal, the last line is the verdict's."""
    for width in (20, 60, 100, 300):
        assert render(full(), width=width).splitlines()[-1] == full().verdict.line


@pytest.mark.parametrize("width", [30, 50, 79, 80, 200])
def test_other_lines_fit(width: int) -> None:
    """Nothing but the verdict line is wider than the terminal."""
    lines = render(full(), width=width).splitlines()[:-1]
    assert max(map(len, lines)) <= width


def test_differences_are_shown_with_both_values() -> None:
    """Path, target and value of each unexplained one; what the ledger explains is only counted."""
    text = render(full(), width=200)
    assert "header $.upstream[0].headers.cookie" not in text
    assert "upstream $.upstream[0].headers.cookie" in text
    assert 'binary  "sid=***"' in text
    assert "sdk     <absent>" in text
    assert "retry-after" not in text
    assert "errors.gone on sdk: planned, but not reported" in text
    assert "divergence of chat.plain" in text


def test_themes_are_counted() -> None:
    """A theme's row has its scenarios, the cells that keep the contract, and the parity counts."""
    rows = [line.split() for line in render(full(), width=120).splitlines()]
    assert [
        "theme",
        "scenarios",
        "binary",
        "ok",
        "sdk",
        "ok",
        "identical",
        "explained",
        "unexplained",
    ] in rows
    assert ["errors", "2", "2/2", "1/2", "0", "1", "0"] in rows


def test_a_narrow_terminal_gets_the_same_counts() -> None:
    """As a list, so that no word is broken."""
    text = " ".join(render(full(), width=50).split())
    assert "errors: scenarios 2, binary ok 2/2, sdk ok 1/2, explained 1" in text


def test_a_pass_is_short() -> None:
    """Header, one row, an empty line, the verdict."""
    assert len(render(passing()).splitlines()) == 4


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, and NO_COLOR, get plain text."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    pipe, tty, plain = io.StringIO(), Tty(), Tty()
    show(full(), pipe)
    show(full(), tty)
    monkeypatch.setenv("NO_COLOR", "1")
    show(full(), plain)
    assert [ESC in out.getvalue() for out in (pipe, tty, plain)] == [False, True, False]


def test_an_old_encoding_costs_no_report() -> None:
    """What the terminal can't write is written as an escape."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    show(full(), out)
    assert b"planned \\u2260 11 reported" in raw.getvalue()


def test_no_secret_is_printed() -> None:
    """The terminal shows what the other formats show."""
    text = render(full(), width=500)
    assert LEAKY not in text
    assert KEY not in text


def test_details_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the rest is counted."""
    monkeypatch.setattr(terminal, "MOST_DETAILS", 1)
    assert "more, in the JSON report" in render(full())

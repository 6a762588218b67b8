"""The progress display."""

from __future__ import annotations

import pytest

from parity.support.progress import progress


@pytest.fixture(autouse=True)
def _no_forcing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def test_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody watches nothing is written."""
    with progress("recording", 2) as done:
        done("chat.plain")
        done("chat.tools")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_what_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal the label, the count and the last name are shown, on standard error alone."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("recording", 2) as done:
        done("chat.plain")
        done("chat.tools")
    out, err = capsys.readouterr()
    assert out == ""
    assert "recording" in err
    assert "2/2" in err
    assert "chat.tools" in err


def test_an_error_inside_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """What the work raises is not swallowed by its display."""
    with pytest.raises(LookupError), progress("recording", 1):
        raise LookupError

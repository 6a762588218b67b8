"""Which version of LiteLLM the mocked tier plays."""

from __future__ import annotations

import pytest

from parity.recorder import missing
from parity.recording.file import REFERENCE, shipped_versions


@pytest.mark.parametrize("installed", [None, *shipped_versions()])
def test_the_one_that_is_here_or_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], installed: str | None
) -> None:
    """Without LiteLLM it is the reference, as for whoever has that installed: both arms must say the same."""
    monkeypatch.setattr(missing, "installed", lambda: installed)
    assert missing.played_as() == (installed or REFERENCE)
    assert missing.played_as("1.109.0") == "1.109.0"
    assert capsys.readouterr().err == ""


def test_one_without_recordings_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearest older one is played instead, and said so."""
    monkeypatch.setattr(missing, "installed", lambda: "1.109.3")
    assert missing.played_as() == "1.106.2"
    said = " ".join(capsys.readouterr().err.split())
    assert "no recordings of LiteLLM 1.109.3, which is installed: those of 1.106.2 are played" in said

from __future__ import annotations

import os
from pathlib import Path

import pytest

from parity.support.files import check_writable, write_text_atomic


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    """The file is there under its name, with its text, alone."""
    file = tmp_path / "a" / "b.txt"
    write_text_atomic(file, "é\n")
    assert file.read_bytes() == "é\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_half_a_surrogate_pair_is_escaped(tmp_path: Path) -> None:
    """What UTF-8 can't hold doesn't cost the report."""
    write_text_atomic(tmp_path / "x", "\ud83d")
    assert (tmp_path / "x").read_text() == "\\ud83d"


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads meanwhile, or afterwards, sees the whole old file and no draft."""
    file = tmp_path / "x"
    write_text_atomic(file, "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_can_be_made_is_writable(tmp_path: Path) -> None:
    """Nothing is made to find that out; a file in its way is told by its name."""
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as caught:
        check_writable(tmp_path / "file" / "b")
    assert caught.value.filename == str(tmp_path / "file")


def test_a_folder_of_somebody_else_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest one that is there decides."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        check_writable(tmp_path / "a")

from __future__ import annotations

import json
from pathlib import Path

from parity import report
from tests.parity.report.verdicts import full


def test_every_format_is_written(tmp_path: Path) -> None:
    """A folder that isn't there yet gets one file a format, and nothing else."""
    folder = tmp_path / "new"
    names = ["report.json", "report.md", "report.html", "junit.xml"]
    assert report.write(full(), folder) == [folder / name for name in names]
    assert sorted(p.name for p in folder.iterdir()) == sorted(names)
    assert json.loads((folder / "report.json").read_text())["parity_report"] == 2
    assert (folder / "report.md").read_text().startswith("# Parity")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert (folder / "junit.xml").read_text().startswith("<?xml")

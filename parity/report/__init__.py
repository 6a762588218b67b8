"""Renders the report on a verdict: one module a format, each with `render(report) -> str`."""

from __future__ import annotations

from pathlib import Path

from parity.report import html, json, junit, markdown
from parity.report.schema import Report, build, report_schema
from parity.support.files import write_text_atomic

__all__ = ["FILES", "Report", "build", "report_schema", "write"]

FILES = {
    "report.json": json.render,
    "report.md": markdown.render,
    "report.html": html.render,
    "junit.xml": junit.render,
}
"""The renderer of each file that `write` writes."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write every format into `folder`, making it when it isn't there. Returns the paths."""
    written = []
    for name, render in FILES.items():
        write_text_atomic(folder / name, render(report))
        written.append(folder / name)
    return written

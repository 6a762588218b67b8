"""Renders the report on a verdict: one module a format, each with `render(report) -> str`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from parity.report import badge, html, json, junit, markdown, sarif, terminal
from parity.report.schema import Report, build, report_schema
from parity.support.files import write_text_atomic

__all__ = ["FILES", "FORMATS", "Report", "build", "report_schema", "write"]

FORMATS: dict[str, Callable[[Report], str]] = {
    "html": html.render,
    "json": json.render,
    "jsonl": json.render_lines,
    "markdown": markdown.render,
    "junit": junit.render,
    "sarif": sarif.render,
    "badge": badge.render,
    "terminal": terminal.render,
}
"""The renderer of each format, by the name that `parity report --format` takes."""

FILES = {
    "report.json": FORMATS["json"],
    "report.md": FORMATS["markdown"],
    "report.html": FORMATS["html"],
    "junit.xml": FORMATS["junit"],
}
"""The renderer of each file that `write` writes."""


def write(report: Report, folder: Path) -> list[Path]:
    """Write every format into `folder`, making it when it isn't there. Returns the paths."""
    written = []
    for name, render in FILES.items():
        write_text_atomic(folder / name, render(report))
        written.append(folder / name)
    return written

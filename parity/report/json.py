"""Renders the report as JSON, byte-identical for equal runs; `schema.report_schema` describes it."""

from __future__ import annotations

import json

from parity.report.schema import Report


def render(report: Report) -> str:
    """Render with keys sorted, indented by two, one newline at the end."""
    return json.dumps(report.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

"""Renders the report as JSON, byte-identical for equal runs; `schema.report_schema` describes it."""

from __future__ import annotations

import json
from typing import Any

from parity.report.schema import Report
from proxies.support.terminal import printable


def render(report: Report) -> str:
    """Render with keys sorted, one newline at the end: indented by two, but for the evidence, a line a scenario."""
    data = report.model_dump(mode="json")
    evidence = data.pop("evidence")
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
    lines = ",\n".join(f"    {_line(name)}: {_line(evidence[name])}" for name in sorted(evidence))
    inside = f"\n{lines}\n  " if lines else ""
    # Its escapes are JSON's, so what a terminal would obey can't reach one.
    return printable(f'{{\n  "evidence": {{{inside}}},{text[1:]}\n')


def render_lines(report: Report) -> str:
    """Render as JSON Lines: the report without its scenarios, then a line for each, verdict and evidence."""
    data = report.model_dump(mode="json")
    evidence = data.pop("evidence")
    scenarios = data["verdict"].pop("scenarios")
    lines = [{"kind": "report", **data}]
    lines += [{"kind": "scenario", **one, "evidence": evidence.get(one["id"])} for one in scenarios]
    return printable("".join(_line(line) + "\n" for line in lines))


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

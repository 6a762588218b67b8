from __future__ import annotations

import json

from parity.report.json import render
from tests.parity.report.verdicts import full


def test_equal_runs_make_equal_bytes() -> None:
    """Made twice, the report is the same text, keys sorted, with one newline at its end."""
    text = render(full())
    assert text == render(full())
    data = json.loads(text)
    del data["evidence"]
    assert text.endswith(json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)[1:] + "\n")


def test_the_verdict_is_in_it() -> None:
    """A reader needs no second source for ok, exit code and line."""
    verdict = json.loads(render(full()))["verdict"]
    assert (verdict["ok"], verdict["exit_code"], verdict["line"]) == (False, 2, full().verdict.line)


def test_nothing_there_is_no_null() -> None:
    """An absent value is written as its marker."""
    scenarios = {s["id"]: s for s in json.loads(render(full()))["verdict"]["scenarios"]}
    [found] = scenarios["errors.status[429]"]["differences"]
    assert (found["left"], found["right"]) == ("<absent>", "7")

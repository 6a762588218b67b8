from __future__ import annotations

import json

import jsonschema

from parity import report
from parity.judging.jsondiff import ABSENT
from parity.judging.ledger import Ledger
from parity.judging.normalise import RULES
from parity.judging.verdict import judge
from parity.report.schema import build, report_schema
from tests.parity.report.verdicts import KEY, LEAKY, full


def test_no_secret_passes() -> None:
    """Whatever an observation, the ledger or a crash lets slip, no format of the report prints it."""
    for render in report.FILES.values():
        text = render(full())
        assert LEAKY not in text
        assert KEY not in text
        assert "***" in text


def test_what_is_absent_stays_absent() -> None:
    """A secret that one side doesn't have is told apart from one that is masked."""
    [found] = [s for s in full().verdict.scenarios if s.id == "auth.leak"]
    shown = {d.path: (d.left, d.right) for d in found.differences}
    assert shown["$.upstream[0].headers.authorization"] == ("***", ABSENT)
    assert shown["$.upstream[0].headers.cookie"] == ("sid=***", ABSENT)
    assert shown["$.upstream[0].body.api_key.nested"] == (ABSENT, "***")


def test_the_schema_describes_every_report() -> None:
    """A full report and an empty one are both valid, and something else is not."""
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    empty = build(judge([], [], [], Ledger(), "live"), catalogue="", versions={})
    for made in (full(), empty):
        validator.validate(json.loads(report.FILES["report.json"](made)))
    assert not validator.is_valid({**json.loads(report.FILES["report.json"](empty)), "parity_report": 1})


def test_every_rule_is_reported_with_its_count() -> None:
    """Also one that masked nothing."""
    assert [rule.name for rule in full().rules] == [rule.name for rule in RULES]
    assert {rule.name: rule.masked for rule in full().rules if rule.masked} == {"generated-ids": 1}

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from parity.report.sarif import render
from parity.report.schema import Report
from tests.parity.report.test_formats import nasty
from tests.parity.report.verdicts import full, hostile, passing

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
LEVEL = {"enum": ["none", "note", "warning", "error"]}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def listed(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


MESSAGE = closed(["text"], text=TEXT)
LOCATION = closed(
    [],
    logicalLocations=listed(closed([], fullyQualifiedName=TEXT, kind=TEXT)),
    physicalLocation=closed(["artifactLocation"], artifactLocation=closed([], uri=TEXT)),
)
RESULT = closed(
    ["message"],
    ruleId=TEXT,
    ruleIndex=COUNT,
    level=LEVEL,
    message=MESSAGE,
    locations=listed(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    suppressions=listed(
        closed(
            ["kind"],
            kind={"enum": ["inSource", "external"]},
            justification=TEXT,
        )
    ),
    properties={"type": "object"},
)
RUN = closed(
    ["tool"],
    tool=closed(
        ["driver"],
        driver=closed(["name"], name=TEXT, rules=listed(closed(["id"], id=TEXT, shortDescription=MESSAGE))),
    ),
    invocations=listed(
        closed(
            ["executionSuccessful"],
            executionSuccessful={"type": "boolean"},
            exitCode={"type": "integer"},
            toolExecutionNotifications=listed(closed(["message"], level=LEVEL, message=MESSAGE)),
        )
    ),
    results=listed(RESULT),
    properties={"type": "object"},
)
SHAPE = closed(["version", "runs"], **{"$schema": TEXT, "version": {"enum": ["2.1.0"]}, "runs": listed(RUN)})
"""What SARIF 2.1.0 allows and demands, as far as we use it: nothing else may be there."""


@pytest.mark.parametrize("made", [full, passing, hostile, nasty])
def test_the_shape_is_that_of_sarif(made: Callable[[], Report]) -> None:
    """No member that the format doesn't have, none missing, and every result points to its rule."""
    log = json.loads(render(made()))
    assert [error.message for error in Draft202012Validator(SHAPE).iter_errors(log)] == []
    [run] = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_what_the_ledger_explains_is_suppressed() -> None:
    """It is a note, with the reason; what nothing explains is an error; neither counts as the other."""
    [run] = json.loads(render(full()))["runs"]
    kinds = {(result["level"], "suppressions" in result) for result in run["results"]}
    assert kinds == {("error", False), ("note", True)}
    reasons = [one["suppressions"][0]["justification"] for one in run["results"] if "suppressions" in one]
    assert "LiteLLM does so." in reasons
    [invocation] = run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    assert [r["level"] for r in json.loads(render(passing()))["runs"][0]["results"]] == []

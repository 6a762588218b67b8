"""Renders the report as SARIF 2.1.0, for code scanning: a rule a clause, a result a cause.

    nothing explains it       result of level error
    the ledger explains it    result of level note, suppressed, with the ledger's reason as justification
    the run isn't whole       notification of level error, and the invocation wasn't successful

A result stands at the scenario, by its logical name, and at the ledger's file where an entry explains it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from parity.report.excerpt import excerpts
from parity.report.findings import Known, Open, known, unknown
from parity.report.places import Place, places
from parity.report.schema import Report
from parity.report.text import stale, unaccounted
from proxies.support.terminal import printable

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEDGER = "parity/divergences.yaml"
MOST_LOCATIONS = 50  # scenarios of one result: readers take files of some megabytes
NO_CLAUSE = "parity"


def render(report: Report) -> str:
    """Render the log, indented; equal reports make equal bytes."""
    verdict = report.verdict
    everything = [place for scenario in verdict.scenarios for place in places(scenario)]
    results = [_open(found) for found in unknown(everything)] + [_known(found) for found in known(everything)]
    results += [_result("ledger", "error", said, [], said) for said in stale(verdict)]
    rules = sorted({result["ruleId"] for result in results})
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    run = {
        "tool": {
            "driver": {
                "name": "parity",
                "rules": [{"id": rule, "shortDescription": {"text": _describe(rule)}} for rule in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": verdict.complete,
                "exitCode": verdict.exit_code,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": said}} for said in unaccounted(verdict)
                ],
            }
        ],
        "results": results,
        "properties": {"line": verdict.line, "catalogue": report.catalogue, "tier": verdict.tier},
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return printable(json.dumps(log, indent=2, ensure_ascii=False)) + "\n"


def _describe(rule: str) -> str:
    if rule == NO_CLAUSE:
        return "Targets show the same where no clause decides"
    if rule == "ledger":
        return "The ledger lists nothing that no longer holds"
    return f"Clause {rule} of the contract"


def _open(found: Open) -> dict[str, Any]:
    first = found.places[0]
    clause = first.clauses[0] if first.clauses else NO_CLAUSE
    key = "\n".join((found.state, found.kind, found.path, *found.wrong))
    return _result(
        clause, "error", _message(f"{found.state} at {found.path}", first), list(found.places), key
    )


def _known(found: Known) -> dict[str, Any]:
    first = found.places[0]
    head = f"{found.kind} that the ledger explains, at {first.path}"
    result = _result(found.clause, "note", _message(head, first), list(found.places), found.key)
    # Without a status, which editions of the schema call `status` or `state`: such a suppression counts as accepted.
    result["suppressions"] = [{"kind": "external", "justification": found.why}]
    result["locations"][0]["physicalLocation"] = {"artifactLocation": {"uri": LEDGER}}
    return result


def _message(head: str, place: Place) -> str:
    shown = zip(place.values, excerpts(list(place.values.values())), strict=True)
    sides = [f"{target}: {''.join(run.text for run in runs)}" for target, runs in shown]
    wanted = [f"wanted: {''.join(r.text for r in excerpts(place.expected)[0])}"] if place.expected else []
    return "\n".join([head, *sides, *wanted])


def _result(rule: str, level: str, text: str, found: list[Place], key: str) -> dict[str, Any]:
    scenarios = list(dict.fromkeys(place.scenario for place in found))
    locations: list[dict[str, Any]] = [
        {"logicalLocations": [{"fullyQualifiedName": scenario, "kind": "scenario"}]}
        for scenario in scenarios[:MOST_LOCATIONS]
    ]
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": locations,
        "partialFingerprints": {
            "cause/v1": hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()
        },
        "properties": {"scenarios": len(scenarios)},
    }

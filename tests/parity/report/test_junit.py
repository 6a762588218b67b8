from __future__ import annotations

from datetime import date
from xml.etree import ElementTree as ET

import pytest

from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.report import junit
from parity.report.junit import render
from parity.report.schema import Report, build
from parity.report.text import stale as stale_sentences
from tests.parity.builders import divergence, observation, scenario
from tests.parity.report.verdicts import HOSTILE, full, hostile, passing

SHAPE: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "skipped"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, {"name", "value"}),
    "testcase": ({"error", "failure", "system-out"}, {"name"}, {"name", "classname"}),
    "error": (set(), set(), {"message", "type"}),
    "failure": (set(), set(), {"message", "type"}),
    "system-out": (set(), set(), set()),
}
"""By element: the children, the required and the possible attributes that Jenkins' schema has, as far as we use it."""


def stale() -> Report:
    """A run in which only the ledger is wrong."""
    seen = [observation("chat.plain", target) for target in ("binary", "sdk")]
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    ledger = Ledger(entries=(divergence(),))
    return build(judge(cells, seen, [scenario("chat.plain")], ledger, "mocked"), catalogue="", versions={})


def unplanned() -> Report:
    """A run of nothing, in which something was reported, twice."""
    seen = [observation("chat.plain"), observation("chat.plain")]
    return build(judge([], seen, [scenario("chat.plain")], Ledger(), "mocked"), catalogue="", versions={})


REPORTS = pytest.mark.parametrize("report", [full(), passing(), hostile(), stale(), unplanned()])


def case(name: str, report: Report | None = None) -> ET.Element:
    [found] = [c for c in ET.fromstring(render(report or full())).iter("testcase") if c.get("name") == name]
    return found


@REPORTS
def test_the_shape_is_the_usual_one(report: Report) -> None:
    """No element, child or attribute that the schema of CI servers doesn't have, and none missing."""
    root = ET.fromstring(render(report))
    assert root.tag == "testsuites"
    for element in root.iter():
        children, required, possible = SHAPE[element.tag]
        assert {child.tag for child in element} <= children
        assert required <= set(element.attrib) <= possible


@REPORTS
def test_it_fails_when_the_run_does(report: Report) -> None:
    """There is a failure or an error exactly when the exit code isn't 0, and never a file without cases."""
    root = ET.fromstring(render(report))
    bad = [c for c in root.iter("testcase") if c.find("failure") is not None or c.find("error") is not None]
    assert bool(bad) == (report.verdict.exit_code != 0)
    assert list(root.iter("testcase"))


@REPORTS
def test_counts_are_those_of_the_cases(report: Report) -> None:
    """In every suite and over all."""
    root = ET.fromstring(render(report))
    for element in (root, *root.iter("testsuite")):
        counted = {
            "tests": len(list(element.iter("testcase"))),
            "failures": len(list(element.iter("failure"))),
            "errors": len(list(element.iter("error"))),
        }
        assert {name: int(element.attrib[name]) for name in counted} == counted


def test_a_suite_a_theme_and_a_case_a_scenario() -> None:
    """What isn't a scenario's stands in suites of its own, which no theme can be called."""
    root = ET.fromstring(render(full()))
    cases = {suite.get("name"): [c.get("name") for c in suite.iter("testcase")] for suite in root}
    assert cases == {
        "auth": ["auth.leak"],
        "chat": ["chat.nasty", "chat.plain"],
        "errors": ["errors.gone", "errors.status[429]"],
        "streaming": ["streaming.plain"],
        "(ledger)": ["divergence of chat.plain at $.exchanges[0].response.json_body"],
        "(run)": ["problem 1"],
    }


def test_an_unexplained_difference_is_a_failure_with_both_sides() -> None:
    """The message says what and who; the text has the values."""
    failure = case("chat.nasty").find("failure")
    assert failure is not None
    assert failure.get("message") == (
        "unexplained body at $.exchanges[0].response.json_body.text; contract broken, unexcused, by binary, sdk"
    )
    assert "A promise." in str(failure.text)
    assert 'the contract wants: "fine"' in str(failure.text)
    assert 'binary: "<b>`|*@you*|`</b>\\n# Not a heading"  (breaks the contract, unexcused)' in str(
        failure.text
    )


def test_an_explained_difference_passes_with_its_reason() -> None:
    """The ledger's entry stands in the output of the case."""
    found = case("errors.status[429]")
    assert [child.tag for child in found] == ["system-out"]
    said = found.findtext("system-out", "")
    assert "explained header at $.exchanges[0].response.headers['retry-after']" in said
    assert "ledger: divergence of errors.status at $.exchanges[0].response.headers['retry-after']" in said
    assert "why: LiteLLM does so." in said


def test_a_missing_cell_is_an_error() -> None:
    """Of its scenario, naming the target."""
    error = case("errors.gone").find("error")
    assert error is not None
    assert error.get("message") == "not reported: sdk"


def test_a_stale_entry_is_a_failure() -> None:
    """It says which entry of the ledger to look at."""
    failure = case(
        "divergence of chat.plain at $.exchanges[0].response.headers['retry-after']", stale()
    ).find("failure")
    assert failure is not None
    assert failure.get("message") == "the ledger lists what no longer occurs"


def test_an_expired_entry_is_a_failure() -> None:
    """Every format says which entry's last day is over."""
    seen = [observation(target="binary"), observation(target="sdk", headers={"retry-after": "7"})]
    cells = [("chat.plain", "binary"), ("chat.plain", "sdk")]
    ledger = Ledger(entries=(divergence(expires="2027-05-31"),))
    judged = judge(cells, seen, [scenario()], ledger, "mocked", today=date(2027, 6, 1))
    report = build(judged, catalogue="0", versions={})
    failure = case("divergence of chat.plain at $.exchanges[0].response.headers['retry-after']", report).find(
        "failure"
    )
    assert failure is not None
    assert failure.get("message") == "the ledger's entry expired on 2027-05-31"
    [sentence] = stale_sentences(report.verdict)
    assert "expired on 2027-05-31" in sentence


def test_equal_runs_make_equal_bytes() -> None:
    """Nothing of the clock or the machine is in it."""
    assert render(full()) == render(full())


def test_nothing_from_outside_ends_the_document() -> None:
    """Markup and forbidden characters are text, wherever they stand."""
    text = render(hostile())
    root = ET.fromstring(text.encode())
    assert any(HOSTILE in str(e.text) for e in root.iter("failure"))
    assert "<script" not in text
    assert "\\u0000\\u001b[31m\\u202e\\uffff" in text
    assert any("\\ud800" in str(e.text) for e in root.iter("failure"))


def test_details_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit the rest is counted."""
    monkeypatch.setattr(junit, "MOST_PLACES", 1)
    failure = case("auth.leak").find("failure")
    assert failure is not None
    assert str(failure.text).endswith("… and 3 more, in report.json")

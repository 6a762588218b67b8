"""Renders the report as JUnit XML, for a CI server: a suite a theme, a test case a scenario.

    unexplained difference, broken contract   failure, with both sides as text
    cell that was planned and not reported    error
    explained, excused                        passed; the ledger's entries and reasons stand in system-out
    stale or expired ledger entry             failure of a case in the suite `(ledger)`
    what else makes a run incomplete          error of a case in the suite `(run)`

So there is a failure or an error exactly when the run's exit code isn't 0. Times are left out: a report has none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree as ET

from parity.judging.verdict import Entry, ScenarioVerdict, Verdict
from parity.report.excerpt import Run, excerpts
from parity.report.places import Place, places
from parity.report.schema import Report
from parity.report.text import by_theme
from proxies.support.terminal import printable

MOST_PLACES = 20  # of one scenario: CI servers take files of some megabytes


class Case(NamedTuple):
    name: str
    classname: str
    failure: tuple[str, str] | None = None
    error: tuple[str, str] | None = None
    said: str = ""


def render(report: Report) -> str:
    """Render the XML, indented; equal reports make equal bytes.

    Its shape is Jenkins' schema, which GitLab reads, too.
    """
    verdict = report.verdict
    suites = {
        theme: [_case(scenario, verdict) for scenario in scenarios]
        for theme, scenarios in by_theme(verdict).items()
    }
    suites |= {"(ledger)": list(_out_of_date(verdict)), "(run)": list(_unaccounted(verdict))}
    root = ET.Element(
        "testsuites", {"name": printable(f"parity {verdict.tier} {' | '.join(verdict.targets)}")}
    )
    root.attrib |= _counts(case for cases in suites.values() for case in cases)
    for name, cases in suites.items():
        if cases:
            root.append(_suite(name, cases, report))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(name: str, cases: list[Case], report: Report) -> ET.Element:
    suite = ET.Element("testsuite", {"name": printable(name), **_counts(cases), "skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", {"name": "catalogue", "value": printable(report.catalogue)})
    for target, versions in report.versions.items():
        said = ", ".join(f"{package} {version}" for package, version in versions.items())
        ET.SubElement(
            properties, "property", {"name": printable(f"versions of {target}"), "value": printable(said)}
        )
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", {"name": printable(case.name), "classname": printable(case.classname)}
        )
        for tag, result in (("error", case.error), ("failure", case.failure)):
            if result is not None:
                message, text = result
                attributes = {"message": printable(" ".join(message.split())), "type": f"parity.{tag}"}
                ET.SubElement(element, tag, attributes).text = printable(text)
        if case.said:
            ET.SubElement(element, "system-out").text = printable(case.said)
    return suite


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    listed = list(cases)
    return {
        "tests": str(len(listed)),
        "failures": str(sum(case.failure is not None for case in listed)),
        "errors": str(sum(case.error is not None for case in listed)),
    }


def _case(scenario: ScenarioVerdict, verdict: Verdict) -> Case:
    found = places(scenario)
    wrong = [place for place in found if place.unlisted]
    allowed = [place for place in found if not place.unlisted]
    missing = [target for target, cell in scenario.cells.items() if cell.contract == "missing"]
    case = Case(
        scenario.id,
        f"parity.{verdict.tier}.{scenario.theme}",
        said="\n\n".join(_explained(place, verdict) for place in allowed[:MOST_PLACES]),
    )
    if not missing and not wrong:
        return case
    said = [f"{target}: planned, but not reported" for target in missing]
    said += [_shown(place, verdict) for place in wrong[:MOST_PLACES]]
    if len(wrong) > MOST_PLACES:
        said.append(f"… and {len(wrong) - MOST_PLACES} more, in report.json")
    result = (_message(missing, wrong), "\n\n".join([scenario.title, *said]))
    # Either an error or a failure, because servers show only one; a missing cell outweighs a difference.
    return case._replace(error=result) if missing else case._replace(failure=result)


def _message(missing: list[str], wrong: list[Place]) -> str:
    """Say in one line what failed: the first path, how many more, and who breaks the contract."""
    said = [f"not reported: {', '.join(missing)}"] if missing else []
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        said.append(f"{wrong[0].state} {wrong[0].kind} at {wrong[0].path}{more}")
    if breaking := sorted({target for place in wrong for target in place.wrong}):
        said.append(f"contract broken, unexcused, by {', '.join(breaking)}")
    return "; ".join(said)


def _shown(place: Place, verdict: Verdict) -> str:
    lines = [f"{place.state} {place.kind} at {place.path}"]
    if place.expected is not None:
        lines.append(f"  the contract wants: {_value(excerpts(place.expected)[0])}")
    known = [target for target in verdict.targets if target in place.values]
    for target, runs in zip(known, excerpts([place.values[target] for target in known]), strict=True):
        excuse = "unexcused" if place.unlisted else "excused"
        breaks = f"  (breaks the contract, {excuse})" if target in place.wrong else ""
        lines.append(f"  {target}: {_value(runs)}{breaks}")
    if place.clauses:
        lines.append(f"  clauses: {', '.join(place.clauses)}")
    return "\n".join(lines)


def _value(runs: list[Run]) -> str:
    text = "".join(f"({run.text})" if run.kind == "note" else run.text for run in runs)
    return text.replace("\n", "\n    ")


def _explained(place: Place, verdict: Verdict) -> str:
    return "\n".join([_shown(place, verdict), *(_entry(entry) for entry in place.entries)])


def _entry(entry: Entry) -> str:
    return (
        f"  ledger: {entry.kind} of {entry.scenario} at {entry.path}\n"
        f"  clause: {entry.clause}, LiteLLM {entry.litellm}\n"
        f"  why: {entry.why}\n"
        f"  probe: {entry.probe}"
    )


def _out_of_date(verdict: Verdict) -> Iterable[Case]:
    """List the ledger's entries that are stale, then those that have expired."""
    stale = [(entry, "the ledger lists what no longer occurs") for entry in verdict.stale]
    expired = [(entry, f"the ledger's entry expired on {entry.expires}") for entry in verdict.expired]
    for entry, message in stale + expired:
        yield Case(
            f"{entry.kind} of {entry.scenario} at {entry.path}",
            f"parity.{verdict.tier}.ledger",
            failure=(message, _entry(entry)),
        )


def _unaccounted(verdict: Verdict) -> Iterable[Case]:
    """List why the run is incomplete; cells that are missing are errors of their scenarios already."""
    classname = f"parity.{verdict.tier}.run"
    if not verdict.planned:
        yield Case("planned", classname, error=("nothing was planned", "nothing was planned"))
    for cell in verdict.unplanned:
        yield Case(str(cell), classname, error=("reported, but not planned in this tier", str(cell)))
    for cell in verdict.doubled:
        yield Case(str(cell), classname, error=("reported more than once", str(cell)))
    for number, problem in enumerate(verdict.problems, 1):
        yield Case(f"problem {number}", classname, error=(problem.partition("\n")[0], problem))

"""What is published of samples: figures, ratios, lines, tables, plot; all of it pure."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from parity.bench import markdown, plot, table
from parity.bench.endurance import Endurance
from parity.bench.model import Bench, bench_schema
from parity.bench.results import publish
from parity.bench.run import Measured, Outcome, Plan, Samples
from parity.bench.subjects import named
from parity.bench.workloads import WorkloadError, find
from parity.cli import main


def samples(subject: str, workload: str, connections: int, rate: float, cpu: float) -> Samples:
    """Return three rounds that lie a hundredth apart."""
    figures = {
        "requests_per_s": [rate, rate * 1.01, rate * 0.99],
        "p50_ms": [1.0, 2.0, 3.0],
        "cpu_ms": [cpu, cpu * 1.01, cpu * 0.99],
    }
    return Samples(subject, workload, connections, requests=300, figures=figures)


@pytest.fixture(scope="module")
def made() -> Bench:
    """A run with a fast, a slow and a failed subject, whose cost grows in a line."""
    workloads = [find("chat"), find("prompt-10"), find("stream-20"), find("memory-embedded")]
    plan = Plan(named(["direct", "nginx", "sdk", "litellm"], {}), workloads, {"chat": [1, 16, 64]})
    seen = []
    for connections in (1, 16, 64):
        seen += [
            samples("direct", "chat", connections, 1000, 0.1),
            samples("nginx", "chat", connections, 900, 0.1),
            samples("sdk", "chat", connections, 300, 1 + connections),
            samples("litellm", "chat", connections, 100, 9),
        ]
    seen += [
        Samples("litellm", "prompt-10", 1, reason="3 of 9 requests went wrong, the first: answered 500 | no"),
        Samples("nginx", "memory-embedded", 1, applies=False, reason="it has no memories"),
        Samples(
            "sdk", "chat", 64, rate=50.0, requests=9, figures={"requests_per_s": [50.0], "p50_ms": [2.0]}
        ),
    ]
    outcomes = [Outcome(subject, reason="") for subject in plan.subjects]
    return publish(plan, Measured(outcomes, seen), "parity bench")


def test_a_run_fits_its_schema(made: Bench) -> None:
    """And is read back as it was written."""
    text = made.model_dump_json()
    Draft202012Validator.check_schema(bench_schema())
    Draft202012Validator(bench_schema()).validate(json.loads(text))
    assert Bench.model_validate_json(text) == made
    assert json.loads(CliRunner().invoke(main, ["schema", "bench"]).output)["title"] == "Parity bench"


def test_ratios_are_those_of_one_place(made: Bench) -> None:
    """The median over the median, with an interval around it."""
    [found] = [
        one
        for one in made.ratios
        if (one.subject, one.against, one.connections, one.figure) == ("sdk", "litellm", 16, "requests_per_s")
    ]
    assert found.ratio == 3
    assert found.low is not None
    assert found.high is not None
    assert 2.9 < found.low <= 3 <= found.high < 3.1


def test_what_went_wrong_is_no_number(made: Bench) -> None:
    """INCOMPLETE with its reason and exit code 1; what doesn't apply isn't."""
    [wrong] = [cell for cell in made.cells if cell.state == "INCOMPLETE"]
    assert (wrong.subject, wrong.figures) == ("litellm", {})
    assert made.exit_code == 1
    assert "litellm: INCOMPLETE, 3 of 9 requests went wrong" in table.text(made)
    assert "answered 500 ¦ no" in markdown.render(made)
    assert {cell.subject for cell in made.cells if cell.state == "NOT_APPLICABLE"} == {"nginx"}


def test_an_upstream_that_is_no_faster_is_told(made: Bench) -> None:
    """What comes near the upstream alone is a lower bound, and the run says so."""
    assert {cell.subject for cell in made.cells if cell.lower_bound} == {"nginx"}
    assert any("nginx" in problem for problem in made.problems)
    assert "≥900" in table.text(made)


def test_lines_and_stability(made: Bench) -> None:
    """A cost that grows in a line is seen as one; CPU time that is steady may be a gate, seconds never."""
    [sdk] = [fit for fit in made.fits if fit.subject == "sdk"]
    assert (sdk.over, sdk.at_zero, sdk.slope, sdk.r2) == ("connections", 1, 1, 1)
    assert {one.figure: one.gate for one in made.stability} == {
        "requests_per_s": False,
        "p50_ms": False,
        "cpu_ms": True,
    }


@pytest.fixture(scope="module")
def grown(made: Bench) -> Bench:
    """A run with a line of each kind, one that is missing, and three endurances."""
    plan = Plan(
        named(["sdk", "litellm"], {}), [find("chat"), find("stream-20")], {"chat": [1, 2, 3]}, fits=True
    )
    cost = {1: 2.0, 2: 2.0, 3: 3.0}
    seen = [samples("sdk", "chat", connections, 300, cost[connections]) for connections in (1, 2, 3)]
    endured = [
        Endurance("sdk", warm_up=10, points=[(0, 100.0), (50, 100.5), (100, 101.0)]),
        Endurance("litellm", warm_up=10, points=[(0, 100.0), (50, 120.0), (100, 140.0)]),
        Endurance("gone", warm_up=10, reason="answered 500 | no"),
    ]
    return publish(
        plan, Measured([Outcome(subject) for subject in plan.subjects], seen, endured), "parity bench"
    )


def test_lines_and_endurance_fit_the_schema(made: Bench, grown: Bench) -> None:
    """They are optional there: an earlier run has neither, and is read all the same."""
    Draft202012Validator(bench_schema()).validate(json.loads(grown.model_dump_json()))
    assert Bench.model_validate_json(grown.model_dump_json()) == grown
    earlier = json.loads(made.model_dump_json())
    del earlier["missing_fits"], earlier["endurance"]
    for fit in earlier["fits"]:
        del fit["deviation"], fit["exponent"], fit["rise"], fit["shape"]
    Draft202012Validator(bench_schema()).validate(earlier)
    read = Bench.model_validate(earlier)
    assert (read.missing_fits, read.endurance) == ([], [])
    assert "| `sdk` | CPU over connections |" in markdown.render(read)


def test_a_missing_line_is_no_pass(grown: Bench) -> None:
    """It is told in the tables and has exit code 1, as has an endurance without a figure."""
    assert len(grown.missing_fits) == 7
    for shown in (table.text(grown), markdown.render(grown)):
        assert "MISSING: sdk, CPU over chunks: a line needs at least 3 points, and 0 were asked for" in shown
        assert "MISSING: litellm, CPU over connections" in shown
        assert "INCOMPLETE: gone: answered 500" in shown
    alone = {"cells": [], "subjects": [], "missing_fits": [], "endurance": []}
    assert grown.model_copy(update=alone).exit_code == 0
    for kept in ("missing_fits", "endurance"):
        assert grown.model_copy(update={**alone, kept: getattr(grown, kept)}).exit_code == 1
    measured = [one for one in grown.endurance if one.state == "MEASURED"]
    assert grown.model_copy(update={**alone, "endurance": measured}).exit_code == 0


def test_growth_is_told_in_plain_units(grown: Bench) -> None:
    """Microseconds for a connection, bytes for a request, with what counts as flat beside them."""
    page = markdown.render(grown)
    assert "| `sdk` | CPU over connections | 1.33 ms | 500 µs per connection |" in page
    assert "RISES by 50%" in page
    assert "| `sdk` | 100 | 100 | 101 | 10,500 | flat |" in page
    assert "GROWS by 40 MB" in page
    assert "at most 2% of what it was after the warm-up, or 5 MB" in page
    assert "R² is at least 0.98" in page
    assert "endurance" not in table.text(grown.model_copy(update={"endurance": []}))


def test_growth_has_places_of_its_own(made: Bench, grown: Bench) -> None:
    """A page's lines and endurance are put anew without its other tables, and those without them."""
    marks = [mark for place in ("", "fits", "endurance") for mark in markdown.marks(place)]
    text = "{}\nold tables\n{}\n{}\nold lines\n{}\n{}\nold endurance\n{}\n".format(*marks)
    page = markdown.page(text, grown)
    assert "old tables" in page
    assert "old lines" not in page
    assert "old endurance" not in page
    assert "medians of the rounds" not in page.partition(marks[4])[2]
    assert page.index("### Straight lines") < page.index(marks[3]) < page.index("### Endurance")
    page = markdown.page(text, made)
    assert "old tables" not in page
    assert "old lines" in page
    with pytest.raises(markdown.PageError, match="parity bench fits: begin"):
        markdown.page("\n".join(marks[:2]), grown)


def test_the_plot_is_whole_and_says_itself(made: Bench) -> None:
    """Well-formed, with a title and the figures in words."""
    root = ElementTree.fromstring(plot.svg(made))
    assert root.get("role") == "img"
    said = root.findtext("{http://www.w3.org/2000/svg}desc")
    assert said == "chat with 16 connections: direct 1,000, nginx 900, sdk 300, litellm 100."


def test_the_tables_go_between_the_marks(made: Bench) -> None:
    """All else on the page stays, and a page without marks is told."""
    text = f"before\n{markdown.BEGIN}\nformer tables\n{markdown.END}\nafter\n"
    page = markdown.page(text, made)
    assert page.startswith("before\n")
    assert page.endswith(f"{markdown.END}\nafter\n")
    assert "former" not in page
    assert "| `sdk` | 300 ±0% | 2 ±25% | 17 ±" in page
    assert "| `sdk` : `litellm` | chat | 16 | 3.00 (" in page
    assert markdown.page(page, made) == page
    with pytest.raises(markdown.PageError):
        markdown.page("no marks", made)


@pytest.mark.parametrize(
    "name",
    ["chat", "prompt-100", "stream-200", "paced-50", "error", "messages", "agent-50", "memory-supermemory"],
)
def test_a_workloads_answer_holds_what_is_looked_for(name: str) -> None:
    """The recorded bytes say what every right answer has to; a stream has its count of events."""
    workload = find(name)
    sent = b"".join(workload.pieces)
    if workload.memory is None:
        assert workload.must.encode() in sent
    assert sent.count(b"data: ") == workload.chunks
    assert workload.chunks == {"stream-200": 200, "paced-50": 50}.get(name, 0)


def test_an_unknown_workload_is_told() -> None:
    """With those that there are."""
    with pytest.raises(WorkloadError, match="there are chat, prompt-100"):
        find("nonsense")

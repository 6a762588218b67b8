"""`parity measure` and `parity decide`, as a user meets them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from parity.cli import main
from parity.decision.model import ARMS, Decision, decision_schema
from parity.measuring import collect, matrix
from parity.measuring.collect import Part
from parity.measuring.model import MeasureError, read
from parity.report import json as json_report
from tests.parity.decision.parts import measured, source
from tests.parity.report.verdicts import full

MEASURED = Path(__file__).with_name("measurements")
"""Files of a real `parity measure --quick`."""


def called(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One part that works and one that doesn't."""

    def fails(_settings: object, _say: object) -> None:
        raise MeasureError("no such thing here")

    parts = {"source": Part(1, 1, lambda _s, _say: source().data), "bench": Part(1, 1, fails)}  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(collect, "PARTS", parts)


def test_measurements_of_today_are_decided(tmp_path: Path) -> None:
    """From the files of a real run: exit code 0, the sentence on the terminal and in the pages, the files' numbers."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- decision --><!-- /decision -->")
    pages = ("--page", tmp_path / "decision.md", "--readme", readme)
    said = called("decide", "--from", MEASURED, "--report", tmp_path, *pages)
    assert said.exit_code == 0, said.output
    text = (tmp_path / "decision.json").read_text()
    Draft202012Validator(decision_schema()).validate(json.loads(text))
    decision = Decision.model_validate_json(text)
    assert said.stdout.splitlines()[-1] == decision.sentence
    assert decision.sentence.replace("'", "&#39;") in (tmp_path / "decision.html").read_text()
    assert decision.sentence[:4] in readme.read_text()
    readme.write_text("no marks")
    assert called("decide", "--from", MEASURED, "--report", tmp_path, *pages).exit_code == 2
    lines = read(MEASURED / "source.json").data.lines  # type: ignore[union-attr]
    assert {w.factor.name: w.factor.values for w in decision.factors}["lines"] == lines
    assert set(ARMS) == set(decision.totals)
    assert "](" not in (tmp_path / "decision.md").read_text()


def test_deciding_again_is_the_same_bytes(tmp_path: Path) -> None:
    """All formats are made of the files alone."""
    for name in ("one", "other"):
        assert called("decide", "--from", MEASURED, "--report", tmp_path / name).exit_code == 0
    for file in ("decision.json", "decision.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_a_weight_past_where_it_turns_turns_the_sentence(tmp_path: Path) -> None:
    """What the JSON says of a weight is so when that weight stands in a file."""
    first = Decision.model_validate_json(
        called("decide", "--from", MEASURED, "--report", tmp_path, "--json").stdout
    )
    [turning, *_] = [w for w in first.factors if w.flip is not None]
    assert turning.flip is not None
    past = turning.flip + (0.01 if turning.direction == "above" else -0.01)
    weights = {w.factor.name: w.weight for w in first.factors} | {turning.factor.name: max(past, 0)}
    (tmp_path / "weights.yaml").write_text(json.dumps(weights))
    options = ("--weights", tmp_path / "weights.yaml", "--report", tmp_path, "--json")
    second = Decision.model_validate_json(called("decide", "--from", MEASURED, *options).stdout)
    assert {first.winner, second.winner} == set(ARMS)


def test_a_mistake_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    """Wrong weights, and a folder without measurements: exit code 2 and what would be right."""
    (tmp_path / "weights.yaml").write_text("memroy: 1")
    wrong = called("decide", "--weights", tmp_path / "weights.yaml", "--out", tmp_path / "out")
    assert (wrong.exit_code, "did you mean 'memory'?" in wrong.output) == (2, True)
    assert not (tmp_path / "out").exists()
    empty = called("decide", "--from", tmp_path)
    assert (empty.exit_code, "parity measure --out" in empty.output) == (2, True)


@pytest.mark.usefixtures("few")
def test_a_part_without_a_result_is_said(tmp_path: Path) -> None:
    """Exit code 1, the reason in its file, and the other part counts; from the files it is decided with 0."""
    found = called("decide", "--quick", "--out", tmp_path)
    assert found.exit_code == 1
    assert re.search(r"^\w+[,;] |^Neither", found.stdout.splitlines()[-1])
    assert "no such thing here" in (tmp_path / "bench.json").read_text()
    assert called("decide", "--from", tmp_path).exit_code == 0
    measured = called("measure", "--quick", "--out", tmp_path)
    assert (measured.exit_code, measured.stdout) == (1, "source: measured\nbench: no such thing here\n")
    assert called("measure", "--quick", "--out", tmp_path, "--part", "source").exit_code == 0


def test_the_page_goes_on_with_the_scenarios(tmp_path: Path) -> None:
    """Where a tier's report was kept beside the parts, one page has the decision first and each scenario below it."""
    report = full()
    (tmp_path / "mocked-report.json").write_text(json_report.render(report))
    data = matrix.summed(report.verdict.model_dump(mode="json"))
    (tmp_path / "mocked.json").write_text(measured(data).model_dump_json())
    said = called("decide", "--from", tmp_path)
    assert said.exit_code == 0, said.output
    page = (tmp_path / "decision.html").read_text()
    assert page.index('id="decision"') < page.index('id="scenarios"')
    ids = re.findall(r' id="([^"]+)"', page)
    assert [name for name, times in Counter(ids).items() if times > 1] == []
    for target in re.findall(r'href="#([^"~]+)"', page[: page.index('id="scenarios"')]):
        assert target in ids


def test_what_quick_leaves_out_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for: exit code 0, the sentence, and the part among those that aren't measured."""
    late = Part(1, collect.QUICK_SECONDS + 1, lambda _s, _say: pytest.fail("there was no time for this"))
    parts = {"source": Part(1, 1, lambda _s, _say: source().data), "bench": late}  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(collect, "PARTS", parts)
    for command in ("measure", "decide"):
        done = called(command, "--quick", "--out", tmp_path)
        assert done.exit_code == 0, done.output
    assert "Not measured, and counted for neither" in done.stdout.splitlines()[-1]
    assert read(tmp_path / "bench.json").problem == collect.LEFT_OUT


def test_quick_has_time_for_what_weighs_most() -> None:
    """On a quiet machine the live tier, which tells what clients lose, is among the parts that --quick measures."""
    spent, within = 0.0, []
    for name, part in collect.PARTS.items():
        if spent + part.about_quick <= collect.QUICK_SECONDS:
            spent += part.about_quick
            within.append(name)
    assert within[:3] == ["source", "live", "starts"]
    assert within[3:5] == ["soak", "faults"]

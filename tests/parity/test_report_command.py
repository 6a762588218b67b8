"""`parity report`, `parity trend`, and what a program reads of the other commands."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest
from click.testing import CliRunner, Result

from parity import report as reports
from parity.catalogue.loading import Catalogue
from parity.catalogue.selection import Selection
from parity.cli import PLACES, main
from parity.report.json import render
from tests.parity.report.verdicts import full, passing


def called(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text(render(passing()), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", list(reports.FORMATS))
def test_every_face_is_made_of_the_file(folder: Path, name: str) -> None:
    """On stdout and in a file, the same text as the run's own."""
    text = reports.FORMATS[name](passing())
    done = called("report", folder, "--format", name)
    assert (done.exit_code, done.output) == (0, text)
    assert called("report", folder / "report.json", "--format", name, "--out", folder / "x").exit_code == 0
    assert (folder / "x").read_text(encoding="utf-8") == text


def test_several_reports_make_one_page(folder: Path, tmp_path: Path) -> None:
    """Of every other format there is one a report, and that is said."""
    (tmp_path / "other.json").write_text(render(full()), encoding="utf-8")
    done = called("report", folder, tmp_path / "other.json", "--format", "html")
    assert done.exit_code == 0
    assert done.output.count('<h2 class="tier">') == 2
    done = called("report", folder, folder, "--format", "markdown")
    assert (done.exit_code, "takes one report" in done.output) == (2, True)


def test_what_is_no_report_is_a_usage_error(tmp_path: Path) -> None:
    """With the file's name, and no traceback."""
    done = called("report", tmp_path)
    assert done.exit_code == 2
    assert "report.json: can't be read" in done.output


def test_a_trend_needs_two(folder: Path) -> None:
    """It tells what changed from one to the next."""
    assert called("trend", folder).exit_code == 2
    done = called("trend", folder, folder)
    assert done.exit_code == 0
    assert "nothing changed" in done.output


def test_the_list_is_json_for_a_program() -> None:
    """Id, tiers, clauses and promise of every scenario, or their number."""
    rows = json.loads(called("list", "--json").output)
    assert [row["id"] for row in rows] == [scenario.id for scenario in Catalogue.load()]
    assert json.loads(called("list", "--json", "--count").output) == len(rows)


@pytest.mark.skipif(find_spec("litellm") is None, reason="the sdk arm needs litellm")
def test_one_scenario_is_a_report_for_a_program() -> None:
    """`parity show --json` prints what `parity run` writes, of one scenario, and nothing else."""
    done = called("show", "models.list", "--json")
    data = json.loads(done.output)
    assert list(data["evidence"]) == ["models.list"]
    assert (done.exit_code, data["verdict"]["ok"]) == (0, True)


COMMANDS = {name: resolve_name(place) for name, place in PLACES.items()}


def examples() -> list[tuple[str, list[str]]]:
    """The lines of every command's help that are commands themselves."""
    lines = [
        (name, line.strip())
        for name, command in COMMANDS.items()
        for line in (command.help or "").splitlines()
        if line.strip().startswith("parity ")
    ]
    return [(name, shlex.split(line)) for name, line in lines]


EXAMPLES = examples()


@pytest.mark.parametrize(("name", "words"), EXAMPLES, ids=[" ".join(words) for _, words in EXAMPLES])
def test_the_examples_of_the_help_can_be_typed(name: str, words: list[str]) -> None:
    """Each is of its own command, its options are there, and the scenario that it shows exists."""
    command = COMMANDS[words[1]]
    assert command is COMMANDS[name]
    parser = command.make_parser(click.Context(command, resilient_parsing=True))
    values, _left, _order = parser.parse_args(words[2:])
    if words[1] in ("show", "probe"):
        assert values["scenario_id"] in {scenario.id for scenario in Catalogue.load()}
    if values.get("expression"):
        assert Selection(values["expression"]).of(Catalogue.load())

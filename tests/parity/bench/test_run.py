"""`parity bench` as its user runs it: two subjects as processes, for a tenth of a second each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from parity.bench.markdown import BEGIN, END
from parity.bench.run import Bench, Plan
from parity.bench.subjects import named
from parity.bench.workloads import find
from parity.cli import main
from parity.provider.server import refused_url


def test_two_subjects_and_one_that_is_not_there(tmp_path: Path) -> None:
    """Both have figures, the third is INCOMPLETE with exit code 1, and all files are written and shown again."""
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    short = ["--workloads", "chat,stream-20", "--connections", "2", "--rounds", "1", "--seconds", "0.1"]
    with refused_url() as nowhere:
        done = CliRunner().invoke(
            main,
            [
                *("bench", "--quick", "--subjects", "direct,passthrough", *short),
                *("--subject", f"gone={nowhere}", "--rate", "50"),
                *("--out", str(tmp_path / "out"), "--page", str(page)),
            ],
        )
    assert done.exit_code == 1, done.output
    found = json.loads((tmp_path / "out" / "bench.json").read_text())
    states = {cell["subject"]: cell["state"] for cell in found["cells"]}
    assert states == {"direct": "MEASURED", "passthrough": "MEASURED", "gone": "INCOMPLETE"}
    for cell in found["cells"]:
        if cell["subject"] == "passthrough":
            assert cell["requests"] > 0
            assert ("first_ms" in cell["figures"]) == (cell["workload"] == "stream-20")
    started = next(one for one in found["subjects"] if one["name"] == "passthrough")
    assert started["cold_start_s"] > 0
    assert "| `passthrough` |" in page.read_text()
    assert page.with_suffix(".svg").read_text().startswith("<svg")
    again = CliRunner().invoke(main, ["bench", "--from", str(tmp_path / "out" / "bench.json")])
    assert again.exit_code == 1
    assert "gone: INCOMPLETE" in again.output


def test_lines_are_asked_for_by_name(tmp_path: Path) -> None:
    """The upstream has a line over connections; those over sizes, which were left out, are missing: exit code 1."""
    file = tmp_path / "bench.json"
    short = ["--workloads", "chat", "--connections", "1,2,3", "--rounds", "1", "--seconds", "0.05"]
    done = CliRunner().invoke(main, ["bench", "--fits", "--subjects", "direct", *short, "--json", str(file)])
    assert done.exit_code == 1, done.output
    found = json.loads(file.read_text())
    assert {(one["over"], one["figure"]) for one in found["fits"]} == {
        ("connections", "cpu_ms"),
        ("connections", "memory_mb"),
    }
    assert {one["over"] for one in found["missing_fits"]} == {"request_bytes", "chunks"}
    assert "MISSING: direct, CPU over chunks" in done.output


def test_each_round_measures_every_point_of_the_lines() -> None:
    """So a machine that slows down bends none; the memory is looked at before, from few connections to many."""
    told: list[str] = []
    points = {"chat": [1, 2], "stream-20": [1]}
    plan = Plan(
        named(["direct"], {}),
        [find(name) for name in points],
        points,
        2,
        0.05,
        warm_up=0.0,
        rate=0,
        fits=True,
    )
    bench = Bench(plan, told.append)
    measured = bench.run()
    looks = ["direct, chat, 1", "direct, chat, 2"]
    every = {*looks, "direct, stream-20, 1"}
    assert (told[:3], len(told)) == (["started direct", *looks], bench.steps)
    assert set(told[3:6]) == set(told[6:]) == every
    assert [len(samples.figures["cpu_ms"]) for samples in measured.samples] == [2, 2, 2]
    assert ["memory_mb" in samples.figures for samples in measured.samples] == [True, True, False]


def test_an_endurance_leaves_the_workloads_out(tmp_path: Path) -> None:
    """Each subject answers all requests; one whose processes aren't known is INCOMPLETE."""
    file = tmp_path / "bench.json"
    with refused_url() as nowhere:
        asked = ["bench", "--endurance", "1000", "--subjects", "direct", "--json", str(file)]
        done = CliRunner().invoke(main, asked)
        unknown = CliRunner().invoke(main, [*asked[:5], "--subject", f"mine={nowhere}"])
    assert done.exit_code == 0, done.output
    found = json.loads(file.read_text())
    [direct] = found["endurance"]
    assert (found["cells"], direct["state"], direct["requests"], direct["warm_up"]) == (
        [],
        "MEASURED",
        1000,
        100,
    )
    assert direct["start_mb"] > 1
    assert unknown.exit_code == 1
    assert "INCOMPLETE: mine: its processes aren't known" in unknown.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--workloads", "nonsense"], "no workload 'nonsense'"),
        (["--subjects", "nonsense"], "no subject 'nonsense'"),
        (["--connections", "0"], "numbers from 1 to 10000"),
        (["--endurance", "10"], "1000<=x"),
        (["--connections", "many"], "numbers from 1 to 10000"),
        (["--subject", "here"], "NAME=http://HOST:PORT"),
        (["--page", __file__.replace("test_run", "__init__")], "has no <!-- parity bench: begin -->"),
        (["--from", __file__], "holds no run of `parity bench`"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], told: str) -> None:
    """With exit code 2, before anything is started."""
    done = CliRunner().invoke(main, ["bench", *arguments])
    assert done.exit_code == 2
    assert told in done.output

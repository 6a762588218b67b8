"""A run of the matrix, summed up: what clients lose of each architecture."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from parity.catalogue.selection import Selection
from parity.judging.ledger import Ledger
from parity.judging.verdict import judge
from parity.measuring import benching, installing, matrix
from parity.measuring.model import Kept, MeasureError
from parity.observation.file import ObservationFile, header
from tests.parity.builders import BODY, HEADER, divergence, observation, scenario, shortfall

BOTH = ("binary", "sdk")
SEVEN = {"retry-after": "7"}


def verdict() -> dict[str, Any]:
    """Binary loses a header, both a body, and sdk something that nobody excused."""
    scenarios = [
        scenario("chat.lost", headers=SEVEN),
        scenario("chat.both", json={"a": 1}),
        scenario("data_routes.wrong", status=201),
        scenario("data_routes.right"),
    ]
    seen = [
        observation("chat.lost", "binary"),
        observation("chat.lost", "sdk", headers=SEVEN),
        *(observation("chat.both", arm, json={"a": 2}) for arm in BOTH),
        observation("data_routes.wrong", "binary", status=201),
        observation("data_routes.wrong", "sdk"),
        *(observation("data_routes.right", arm) for arm in BOTH),
    ]
    ledger = Ledger(
        entries=(
            divergence("chat.lost", HEADER, severity="broken", notices="No header."),
            shortfall("chat.both", f"{BODY}.a", 1, 2, severity="cosmetic", notices="Another word."),
        )
    )
    cells = [(s.id, arm) for s in scenarios for arm in BOTH]
    return judge(cells, seen, scenarios, ledger, "mocked", BOTH).model_dump(mode="json")


def test_losses_are_each_sides_own() -> None:
    """A divergence is lost by the side that breaks the contract, a shortfall by both, the severest first."""
    found = matrix.summed(verdict())
    assert [(one.severity, one.notices, one.excused) for one in found.losses["binary"]] == [
        ("broken", "No header.", True),
        ("cosmetic", "Another word.", True),
    ]
    assert [(one.severity, one.excused, one.scenarios) for one in found.losses["sdk"]] == [
        ("broken", False, ["data_routes.wrong"]),
        ("cosmetic", True, ["chat.both"]),
    ]


def test_cells_are_kept_without_an_excuse() -> None:
    """Of a theme those count that met the contract by themselves."""
    found = matrix.summed(verdict(), "chat")
    assert found.themes["chat"] == {"binary": Kept(kept=0, cells=2), "sdk": Kept(kept=1, cells=2)}
    assert found.themes["data_routes"]["sdk"] == Kept(kept=1, cells=2)
    assert (found.part, found.expression, found.exit_code) == ("mocked", "chat", 1)
    assert found.sessions["sdk"] == Kept(kept=0, cells=0)


def test_what_tells_most_is_in_the_short_run() -> None:
    """Every entry of the ledger, and every session, is in the expression that `--quick` plays live."""
    names = {e.scenario for e in Ledger.load().entries} | {"sessions.own_user", "data_routes.files"}
    chosen = {s.id for s in Selection(matrix.telling()).of(scenario(name) for name in names | {"chat.plain"})}
    assert chosen == names


class Command:
    """Stands in for `subprocess.run`: writes what the command would, and remembers its words."""

    def __init__(self, code: int = 0, **files: str) -> None:
        self.code, self.files = code, files
        self.words: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.words.append(command)
        for option in ("--report", "--out"):
            for name, text in self.files.items() if option in command else ():
                Path(command[command.index(option) + 1], name.replace("_", ".", 1)).write_text(text)
        return subprocess.CompletedProcess(
            command, self.code, "", "it said this\nBearer sk-abcdefghijklmnopqrstuvwx"
        )


def test_the_matrix_is_run_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report of the run is what is summed up and kept, whether it passed or not."""
    command = Command(1, report_json=json.dumps({"verdict": verdict()}))
    monkeypatch.setattr(subprocess, "run", command)
    kept = tmp_path / "mocked-report.json"
    assert matrix.measure("mocked", "chat", "2", kept) == matrix.summed(verdict(), "chat")
    assert json.loads(kept.read_text()) == {"verdict": verdict()}
    assert command.words[0][-2:] == ["-k", "chat"]


@pytest.mark.parametrize("command", [Command(2), Command(0)], ids=["set-up error", "no report"])
def test_a_run_without_a_verdict_is_told(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Why it could not be run, without secrets."""
    monkeypatch.setattr(subprocess, "run", command)
    with pytest.raises(MeasureError, match="could not be run:\nit said this") as caught:
        matrix.measure("live")
    assert "sk-abc" not in str(caught.value)


def test_slow_commands_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The matrix, the bench and an installation have a deadline, and say so."""

    def slow(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", slow)
    for measure in (
        lambda: matrix.measure("live"),
        benching.measure,
        lambda: installing.measure(lambda _: None),
    ):
        with pytest.raises(MeasureError, match="took longer than"):
            measure()


def test_versions_are_told_apart_by_what_clients_see(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A scenario counts for an architecture whose normalised observation is another one on the newer LiteLLM."""

    def played(folder: Path, *options: str) -> None:
        newer = options[1] == "1.110.2"
        for arm in BOTH:
            changed = newer and arm == "binary"
            observed = [
                observation("chat.a", arm, status=500 if changed else 200),
                observation("chat.b", arm),
            ]
            ObservationFile(header(arm, arm, "mocked", "0" * 64, {}), tuple(observed)).write(
                folder / f"{arm}.jsonl"
            )

    monkeypatch.setattr(matrix, "run", played)
    found = matrix.versions()
    assert (found.before, found.after, found.scenarios) == ("1.106.2", "1.110.2", 2)
    assert found.changed == {"binary": ["chat.a"], "sdk": []}


def test_the_bench_is_read_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its file is kept as it is; none, or one of another form, is told."""
    monkeypatch.setattr(subprocess, "run", Command(bench_json='{"parity_bench": 1, "cells": []}'))
    assert benching.measure("--quick").bench == {"parity_bench": 1, "cells": []}
    monkeypatch.setattr(subprocess, "run", Command(2))
    with pytest.raises(MeasureError, match="left no bench"):
        benching.measure()
    for text in ("{", "[]", '{"parity_bench": 2}'):
        (tmp_path / "bench.json").write_text(text)
        with pytest.raises(MeasureError, match=r"bench\.json"):
            benching.read(tmp_path / "bench.json")


def test_sizes_are_those_of_fresh_environments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each architecture with the extra that it needs; what Python compiles by itself doesn't count."""
    commands: list[list[str]] = []

    def installs(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        if "venv" in command:
            packages = Path(command[-1]) / "lib/python3/site-packages"
            (packages / "a.dist-info").mkdir(parents=True)
            (packages / "pip-1.dist-info").mkdir()
            (packages / "pip-1.dist-info/RECORD").write_bytes(b"x" * 300_000)
            (packages / "a.py").write_bytes(b"x" * 300_000)
            (packages / "a.pyc").write_bytes(b"x" * 300_000)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", installs)
    found = installing.measure(lambda _: None)
    assert {arm: (one.mb, one.packages) for arm, one in found.arms.items()} == {
        "binary": (0.3, 1),
        "sdk": (0.3, 1),
    }
    assert [command[-1].rpartition("[")[2] for command in commands[1::2]] == ["live]", "sdk]"]
    with pytest.raises(MeasureError, match="a checkout"):
        installing.measure(lambda _: None, tmp_path)
    monkeypatch.setattr(subprocess, "run", Command(1))
    with pytest.raises(MeasureError, match="could not be installed"):
        installing.measure(lambda _: None)


@pytest.mark.parametrize("uv", [None, "/bin/uv"])
def test_uv_installs_where_it_is(tmp_path: Path, uv: str | None) -> None:
    """Else the pip of the fresh environment does."""
    assert (installing._installer(tmp_path, uv)[0] == uv) is bool(uv)

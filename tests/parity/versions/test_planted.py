"""A difference that was planted in a copy of LiteLLM: `parity versions` and `parity bisect` find it by its path."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from parity.cli import main
from parity.versions import history
from parity.versions.environments import Environment
from tests.parity.versions.copies import copy_of_litellm

SCENARIO = "chat.plain"
PLAYED = f"""
import json, sys, litellm
seen = {{"{SCENARIO}": {{"process": [{{"status": litellm.STATUS}}]}}}}
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
"""


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three copies of a LiteLLM that answers 200; the last one has been patched, and answers 503."""
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "cache"))

    def play(env: Environment, module: list[str]) -> None:
        subprocess.run([env.python, "-c", PLAYED, module[1]], check=True)

    monkeypatch.setattr(history, "_run", play)
    return [
        str(copy_of_litellm(tmp_path / name, source=f"STATUS = {status}\n"))
        for name, status in (("one", 200), ("two", 200), ("three", 503))
    ]


def test_a_planted_difference_is_found(copies: list[str]) -> None:
    """`versions` shows both values, `bisect` over a list of paths names the first copy that has it."""
    chosen = ("-k", "chat and plain and not other", "--subject", "process")
    told = CliRunner().invoke(main, ["versions", copies[0], copies[2], *chosen])
    assert (told.exit_code, "- process `$.status`: `200` became `503` (`chat.plain`" in told.stdout) == (
        1,
        True,
    )
    among = [part for copy in copies[1:] for part in ("--among", copy)]
    found = CliRunner().invoke(main, ["bisect", "--good", copies[0], *among, *chosen])
    assert found.exit_code == 1
    assert f"first changed in {copies[2]}, last as before in {copies[1]}" in found.stdout

"""Gateways among the targets of a run: played by their profiles, compared by what their clients saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from parity.catalogue.scenario import Scenario
from parity.cli import main
from parity.commands import targets
from parity.gateways.judging import Played
from parity.gateways.process import GatewayError
from parity.gateways.profile import Profile
from parity.observation.file import ObservationFile
from tests.parity.builders import observation

GATEWAYS = "passthrough,nginx,portkey"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Gateways that nobody starts: Portkey's doesn't claim one scenario, and answers another one its own way."""

    def play_gateway(profile: Profile, chosen: Sequence[Scenario], **options: Any) -> Played:
        if profile.name == "llmops":
            raise GatewayError("npm is missing")
        portkey = profile.name == "portkey"
        owing = [s for s in chosen if not (portkey and s.id == "chat.plain")]
        seen = [
            observation(s.id, profile.name, tier="live", json={"odd": portkey and s.id == "chat.logprobs"})
            for s in owing
        ]
        reasons = Counter({f"can't be asked by {options['player']}": 2} if options["player"] else {})
        return Played(owing, seen, reasons, {})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(targets, "play_gateway", play_gateway)


def run(*arguments: str) -> Result:
    chosen = ("--tier", "live", "-k", "chat.plain or chat.logprobs or chat.unicode")
    return CliRunner().invoke(main, ["run", *chosen, *arguments])


def test_gateways_are_compared_with_the_first(tmp_path: Path) -> None:
    """What one doesn't claim isn't a cell of its; the contract isn't applied to any; each has its file."""
    done = run("--targets", GATEWAYS)
    assert done.exit_code == 1, done.output
    last = done.output.splitlines()[-1]
    assert last.startswith("FAIL live passthrough | nginx | portkey: cells ")
    assert "unexplained 1" in last
    assert "missing" not in last
    assert "passthrough, nginx  false" in done.output
    file = ObservationFile.read(tmp_path / "parity-report" / "portkey.jsonl")
    assert file.header.endpoint
    assert file.header.versions["portkey"] == "1.15.2"
    assert "chat.plain" not in {o.scenario for o in file.observations}


def test_those_that_agree_pass() -> None:
    """With one that isn't like the others left out."""
    assert run("--targets", "passthrough,nginx").exit_code == 0


def test_a_gateway_that_cannot_be_started_is_exit_code_2() -> None:
    """With its reason; nothing is judged without it."""
    done = run("--targets", "passthrough,llmops")
    assert (done.exit_code, "npm is missing" in done.output) == (2, True)


@pytest.mark.parametrize("name", ["sdk", "binary"])
def test_a_proxy_is_played_as_a_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the profile of its name; and a profile of one's own may not take that name."""
    assert targets._is_arm(name)
    profile = targets.profiles.find("passthrough").model_copy(update={"name": name})
    monkeypatch.setattr(targets.profiles, "find", lambda _: profile)
    done = run("--targets", "mine.yaml")
    assert done.exit_code == 2
    assert f"{name} is the name of a proxy" in done.output


def test_an_official_client_asks_every_target(tmp_path: Path) -> None:
    """Our proxies are gateways like any other then, and what doesn't apply is counted."""
    done = run("--targets", "binary,sdk", "--client", "openai")
    assert done.exit_code == 0, done.output
    assert "sdk: not applicable: 2 × can't be asked by openai" in done.output
    assert ObservationFile.read(tmp_path / "parity-report" / "binary.jsonl").header.endpoint
    mocked = CliRunner().invoke(main, ["run", "--client", "openai", "-k", "chat.plain"])
    assert mocked.exit_code == 2
    assert "binary is asked by the client openai, which only plays with --tier live" in mocked.output

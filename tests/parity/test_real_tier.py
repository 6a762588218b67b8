"""The tier real asks nobody by accident: without a key, in CI, or without consent it says so and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parity.catalogue.loading import Catalogue, fingerprint
from parity.cli import main
from parity.targets import stack
from parity.targets.real import PROVIDERS, provider_of, real_document

KEY = "sk-of-somebody-0123456789abcdef"


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither key nor CI in the environment, and no process that could ask anybody."""
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
        monkeypatch.delenv(provider.url_variable, raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(stack, "ProxyProcess", None)


def run(tmp_path: Path, *arguments: str, **environment: str) -> Result:
    given = ("run", "--tier", "real", "--report", str(tmp_path / "out"), *arguments)
    return CliRunner().invoke(main, given, env=environment)


def test_without_a_key_it_names_the_variables(tmp_path: Path) -> None:
    done = run(tmp_path, "--yes")
    assert done.exit_code == 2
    assert "put one into OPENAI_API_KEY, ANTHROPIC_API_KEY, GROQ_API_KEY" in done.output
    assert list(tmp_path.iterdir()) == []


def test_it_is_not_played_in_ci(tmp_path: Path) -> None:
    """Whatever keys are there."""
    done = run(tmp_path, "--yes", CI="true", OPENAI_API_KEY=KEY)
    assert done.exit_code == 2
    assert "isn't played in CI" in done.output


def test_it_says_what_it_will_cost_and_asks(tmp_path: Path) -> None:
    """Scenarios whose key is missing are counted; where nobody can be asked it doesn't start."""
    done = run(tmp_path, "-k", "plain", OPENAI_API_KEY=KEY)
    assert done.exit_code == 2
    assert "4 scenarios: 8 requests to real providers (4 by each of binary, sdk), about " in done.output
    assert "left out: 1 scenarios whose provider's key isn't in the environment" in done.output
    assert "--yes starts at once" in done.output
    assert KEY not in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-n", "2"), "-n is without effect on the tier real"),
        (("--client", "openai"), "--client is without effect on the tier real"),
        (("--targets", "binary,passthrough"), "played by binary and sdk, not by 'passthrough'"),
        (("--tier", "mocked", "--yes"), "--yes is only for --tier real"),
        (("-k", "retries"), "no scenario is selected"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    done = run(tmp_path, *arguments, OPENAI_API_KEY=KEY)
    assert done.exit_code == 2
    assert told in done.output


def test_a_few_scenarios_are_marked() -> None:
    """Few enough to be paid for, of every provider that is known, and all of the live tier."""
    marked = [scenario for scenario in Catalogue.load() if scenario.real]
    assert 8 <= len(marked) <= 16
    assert {provider_of(scenario) for scenario in marked} == set(PROVIDERS.values())
    assert all("live" in scenario.tiers and not scenario.deployment.params for scenario in marked)


def test_the_mark_changes_no_recording() -> None:
    """What LiteLLM was seen to do holds, whoever may be asked else."""
    scenario = Catalogue.load()["chat.plain"]
    assert scenario.real
    assert fingerprint(scenario) == fingerprint(scenario.model_copy(update={"real": False}))


def test_keys_are_named_and_addresses_are_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration that lies on the disk holds no provider's key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    marked = [scenario for scenario in Catalogue.load() if scenario.real]
    document = real_document(marked, "sdk", "sk-master-0123456789abcdef")
    assert KEY not in json.dumps(document)
    params = {entry["model_name"]: entry["litellm_params"] for entry in document["model_list"]}
    assert params["chat.plain"]["api_base"] == "http://127.0.0.1:9/v1"
    assert params["chat.plain"]["api_key"] == "os.environ/OPENAI_API_KEY"
    assert params["messages.plain"]["api_base"] == PROVIDERS["anthropic"].public_url

"""The tier real against a stub that speaks the real APIs: where one says something else, the path is named."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.cli import main
from parity.observation.file import ObservationFile
from parity.provider.control import base_url
from parity.provider.server import serve_in_thread

KEY = "sk-of-somebody-0123456789abcdef"


def changed(scenario: Scenario) -> Scenario:
    """The same, from a provider that has changed: another reason to end, and another text, with a key in it."""
    reply = scenario.provider[0]
    body: Any = copy.deepcopy(reply.json_)
    body["choices"][0] |= {"finish_reason": "length"}
    body["choices"][0]["message"]["content"] = f"Good evening. {KEY}"
    return scenario.model_copy(update={"provider": [reply.model_copy(update={"json_": body})]})


def test_what_providers_say_otherwise_than_the_stub_is_named(tmp_path: Path) -> None:
    """One says what the stub says; the other's change is a difference with its path. No key is kept or shown."""
    loaded = Catalogue.load(loading.BUILT_IN / "chat" / f"{name}.yaml" for name in ("plain", "groq"))
    real = [loaded["chat.plain"], changed(loaded["chat.groq"])]
    with serve_in_thread(real) as provider:
        urls = [f"{base_url(provider.url, 'real', scenario.id)}/v1" for scenario in real]
        addresses = {"OPENAI_BASE_URL": urls[0], "GROQ_BASE_URL": urls[1]}
        environment = {"CI": "", "OPENAI_API_KEY": KEY, "GROQ_API_KEY": KEY, **addresses}
        chosen = ("--tier", "real", "-k", "chat and (plain or groq)", "--targets", "sdk", "--yes")
        done = CliRunner().invoke(main, ["run", *chosen, "--report", str(tmp_path)], env=environment)
    assert done.exit_code == 1, done.output
    assert done.stdout.splitlines()[-1].startswith(
        "FAIL live, shapes only stub | sdk: cells 4 planned = 4 reported"
    )
    assert "identical 1 " in done.stdout
    assert "chat.groq" in done.stdout
    assert "finish_reason" in done.stdout
    assert "content" not in done.stdout
    plain: Any = ObservationFile.read(tmp_path / "sdk.jsonl").observations[-1].exchanges[0].response
    assert plain.json_body["choices"][0]["message"]["content"] == "Hello! How can I assist you today?"
    assert KEY not in done.output
    assert all(KEY not in file.read_text() for file in tmp_path.iterdir())

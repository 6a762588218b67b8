"""The tier real against a stub that speaks the real API: where it says something else, the path is named."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.catalogue.scenario import Scenario
from parity.cli import main
from parity.observation.file import ObservationFile
from parity.provider.control import base_url
from parity.provider.server import serve_in_thread

KEY = "sk-of-somebody-0123456789abcdef"


@pytest.fixture
def plain() -> Scenario:
    return Catalogue.load([loading.BUILT_IN / "chat" / "plain.yaml"])["chat.plain"]


def run(real: Scenario, folder: Path) -> Result:
    """Play chat.plain on the sdk proxy, the provider of `real` being the real one."""
    with serve_in_thread([real]) as provider:
        environment = {
            "CI": "",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{base_url(provider.url, 'real', real.id)}/v1",
        }
        arguments = [
            "--tier",
            "real",
            "-k",
            "chat.plain",
            "--targets",
            "sdk",
            "--yes",
            "--report",
            str(folder),
        ]
        return CliRunner().invoke(main, ["run", *arguments], env=environment)


def test_a_provider_that_says_what_the_stub_says_shows_no_drift(plain: Scenario, tmp_path: Path) -> None:
    """What came is kept, its key nowhere."""
    done = run(plain, tmp_path)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith(
        "PASS live, shapes only stub | sdk: cells 2 planned = 2 reported"
    )
    (seen,) = ObservationFile.read(tmp_path / "sdk.jsonl").observations
    response: Any = seen.exchanges[0].response
    assert response.json_body["choices"][0]["message"]["content"] == "Hello! How can I assist you today?"
    assert all(KEY not in file.read_text() for file in tmp_path.iterdir())


def test_a_provider_that_has_changed_is_a_drift(plain: Scenario, tmp_path: Path) -> None:
    """A member that the stub doesn't know is named by its path, and that the text is another one isn't."""
    reply = plain.provider[0]
    body: Any = {**copy.deepcopy(reply.json_), "system_fingerprint": 7}
    body["choices"][0]["message"]["content"] = f"Good evening. {KEY}"
    changed = plain.model_copy(update={"provider": [reply.model_copy(update={"json_": body})]})
    done = run(changed, tmp_path)
    assert done.exit_code == 1, done.output
    assert "system_fingerprint" in done.stdout
    assert "content" not in done.stdout
    assert all(KEY not in file.read_text() for file in tmp_path.iterdir())

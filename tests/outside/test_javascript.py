"""A JavaScript project in an empty folder tests against `parity provider`, with OpenAI's own client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENT = "openai@6"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder, with the client installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: this test is of a JavaScript project")
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copy(HERE / "javascript" / "shop.test.mjs", folder)
    installed = run(folder, "npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", CLIENT)
    if installed.returncode:
        pytest.skip(f"npm can't install {CLIENT} here: {installed.stderr.strip().splitlines()[-1:]}")
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = ("PYTEST", "PYTHONPATH", "COV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(240)
def test_a_javascript_project_uses_the_provider(project: Path) -> None:
    """Answers, streams, failures, tool calls and what was received, from a test suite in another language."""
    done = run(project, "node", "--test", PARITY=str(Path(sys.executable).with_name("parity")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 7" in done.stdout or "ℹ pass 7" in done.stdout

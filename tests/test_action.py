"""The GitHub Action: its steps, run as a runner does; a program in the place of `parity` notes how it is called."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.root import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEP = next(step for step in ACTION["runs"]["steps"] if step.get("id") == "parity")

PARITY = """\
#!/bin/bash
printf '%s\\n' "$@" '' >> "$RUNNER_TEMP/asked"
folder=
for word in "$@"; do [ "$last" = --report ] && folder="$word"; last="$word"; done
[ -z "$folder" ] || [ "$CODE" = 2 ] || {
  mkdir -p "$folder"
  echo '# Parity' > "$folder/report.md"
  echo '{}' > "$folder/report.json"
}
[ "$1" = report ] && [ "$last" != "" ] && { echo x > "$last"; exit 0; }
exit "$CODE"
"""


@dataclass
class Ran:
    code: int
    said: str
    asked: list[list[str]]
    outputs: dict[str, str]
    summary: str


def run(folder: Path, code: int = 0, **inputs: str) -> Ran:
    """The step with these inputs, the others at their defaults; `code` is what `parity` exits with."""
    program = folder / "parity" / "bin" / "parity"
    program.parent.mkdir(parents=True)
    program.write_text(PARITY)
    program.chmod(0o755)
    values = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()} | inputs
    environment = {
        name: values[expression.removeprefix("${{ inputs.").removesuffix(" }}")]
        for name, expression in STEP["env"].items()
    }
    for name in ("output", "summary"):
        (folder / name).touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEP["run"]],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "CODE": str(code),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    asked = (folder / "asked").read_text() if (folder / "asked").exists() else ""
    return Ran(
        done.returncode,
        done.stdout + done.stderr,
        [call.split("\n") for call in asked.split("\n\n") if call],
        dict(line.split("=", 1) for line in (folder / "output").read_text().splitlines()),
        (folder / "summary").read_text(),
    )


@pytest.mark.parametrize("code", [0, 1])
def test_two_endpoints_are_compared(code: int, tmp_path: Path) -> None:
    """Without a question, with the options line by line; the report is made in all formats, and the exit code kept."""
    done = run(
        tmp_path,
        code,
        command="compare",
        left="http://a",
        right="http://b",
        arguments="--model=m\n\n--header=a: b\n",
    )
    first = [
        "compare",
        "http://a",
        "http://b",
        "--yes",
        "--report",
        "parity-report",
        "--model=m",
        "--header=a: b",
    ]
    assert done.asked[0] == first
    assert [call[3] for call in done.asked[1:]] == ["sarif", "badge"]
    assert (done.code, done.outputs["exit-code"]) == (code, str(code))
    assert (tmp_path / done.outputs["sarif"]).exists()
    assert done.summary == "# Parity\n"


def test_a_gateway_is_judged(tmp_path: Path) -> None:
    """By the name or the file of its profile, into a folder of one's own."""
    done = run(tmp_path, command="judge", gateway="mine file.yaml", report="out")
    assert done.asked[0] == ["judge", "mine file.yaml", "--report", "out"]
    assert done.outputs == {
        "exit-code": "0",
        "report": "out",
        "sarif": "out/parity.sarif",
        "junit": "out/junit.xml",
    }


def test_what_made_no_report_says_so(tmp_path: Path) -> None:
    """Exit code 2 is the step's, and the summary points to the log."""
    done = run(tmp_path, 2, command="judge", gateway="nobody")
    assert (done.code, len(done.asked)) == (2, 1)
    assert "made no report" in done.summary


def test_another_command_is_told(tmp_path: Path) -> None:
    """With what would be right, and without running anything."""
    done = run(tmp_path, command="guess")
    assert (done.code, done.asked) == (2, [])
    assert "::error::the input command is compare or judge, not 'guess'" in done.said


def test_an_input_is_never_run(tmp_path: Path) -> None:
    """Whatever stands in an input is one word of the command, not a part of the script."""
    nasty = "http://a'; touch owned; $(touch owned) `touch owned`"
    done = run(tmp_path, command="compare", left=nasty, right="http://b", arguments="--model=$(touch owned)")
    assert nasty in done.asked[0]
    assert "--model=$(touch owned)" in done.asked[0]
    assert not (tmp_path / "owned").exists()
    assert all("${{" not in step.get("run", "") for step in ACTION["runs"]["steps"])


@pytest.mark.parametrize(
    ("packages", "more"), [("", []), ("openai $(x)", ["openai", "$(x)"])], ids=["none", "some"]
)
def test_what_is_installed(packages: str, more: list[str], tmp_path: Path) -> None:
    """The action's own folder with its pinned versions, and what the input names, of which nothing is run."""
    install = next(step for step in ACTION["runs"]["steps"] if step.get("name") == "Install")
    pip = tmp_path / "parity" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text('#!/bin/bash\nprintf \'%s\\n\' "$@" > "$RUNNER_TEMP/installed"\n')
    pip.chmod(0o755)
    python = tmp_path / "python"
    python.write_text("#!/bin/bash\n")
    python.chmod(0o755)
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", install["run"]],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_ACTION_PATH": "/action",
            "PARITY_PACKAGES": packages,
        },
        timeout=30,
        check=True,
    )
    asked = (tmp_path / "installed").read_text().splitlines()
    assert asked == ["install", "--quiet", "-c", "/action/constraints.txt", "/action[parity]", *more]

"""How commands end that lose their reader or are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from proxies.support.command_group import Group
from tests.root import ROOT

CONFIG = """\
model_list: [{model_name: gpt, litellm_params: {model: openai/x, api_key: stub}}]
general_settings: {master_key: sk-a-key-of-the-tests}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return str(path)


def _start(*arguments: str, module: str = "proxies", **streams: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    # Unbuffered, nothing would be left for the interpreter to flush.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(command, text=True, env=environment, **streams)


def _without_reader(*arguments: str, module: str = "proxies", errors_too: bool = False) -> tuple[int, str]:
    read, write = os.pipe()
    os.close(read)
    try:
        streams = {"stdout": write, "stderr": write if errors_too else subprocess.PIPE}
        with _start(*arguments, module=module, **streams) as process:
            _, said = process.communicate(timeout=30)
        return process.returncode, said
    finally:
        os.close(write)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ports", "--help"], ["check"], ["check", "--json"]], ids=" ".join
)
def test_nobody_reads_the_output(config: str, arguments: list[str]) -> None:
    """It ends as if by SIGPIPE, without a word: 1 and 2 say something about the config."""
    more = ["--config", config] if arguments[0] == "check" else []
    assert _without_reader(*arguments, *more) == (141, "")


def test_nobody_reads_the_errors_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter, which flushes both at its end, doesn't change the exit code."""
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(tmp_path / "ports.json"))
    code, _ = _without_reader("ports", "list", errors_too=True)  # says on stderr that there is none
    assert code == 141


def test_nobody_reads_what_rich_prints() -> None:
    """Its consoles, which would exit with 1, are no exception."""
    assert _without_reader("table", module=__name__) == (141, "")


def test_an_interrupted_command() -> None:
    """Ctrl+C is one line and 130."""
    with _start("interrupt", module=__name__, stderr=subprocess.PIPE) as process:
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "Interrupted.\n")


@click.group(cls=Group)
def tool() -> None:
    """Commands that end in various ways."""


@tool.command()
def table() -> None:
    """Prints as many commands do."""
    Console().print(Table("a"))


@tool.command()
def interrupt() -> None:
    """Gets the signal at work. From outside it might come just before a call that waits, and be heard after it."""
    signal.raise_signal(signal.SIGINT)


@tool.command()
@click.argument("answer")
def ask(answer: str) -> None:
    """Asks, and gets that exception or that answer."""
    given: Any = {"^C": KeyboardInterrupt, "^D": EOFError}.get(answer)
    with mock.patch("click.termui.visible_prompt_func", side_effect=given, return_value=answer):
        click.confirm("Sure?", abort=True)


@tool.command()
@click.argument("code", type=int)
def end(code: int) -> None:
    """Ends with that code, after something else has lost its reader."""
    try:
        raise BrokenPipeError
    except BrokenPipeError:
        pass
    sys.exit(code)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", "^C"], 130, "Interrupted."),
        (["ask", "^D"], 1, "Aborted!"),
        (["ask", "n"], 1, "Aborted!"),
        (["ask", "y"], 0, ""),
        (["end", "0"], 0, ""),
        (["end", "3"], 3, ""),
        (["end", "x"], 2, "is not a valid integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_other_ends_stay_as_they_are(arguments: list[str], code: int, said: str) -> None:
    """Ctrl+C counts while a question is open too; no answer, a no and a command's own codes are no interruption."""
    result = CliRunner().invoke(tool, arguments)
    assert result.exit_code == code
    assert said in result.stderr


if __name__ == "__main__":
    tool()

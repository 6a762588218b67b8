"""What strangers have written is shown to people, never obeyed by their terminal."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from rich.table import Table
from rich.text import Text

from proxies.support.command_group import Group
from proxies.support.console import SafeConsole
from proxies.support.terminal import printable, say
from tests.test_architecture import TREES

EVIL = "a\x1b]0;title\x07b\u202ec\ud83dd"
SHOWN = "a\\u001b]0;title\\u0007b\\u202ec\\ud83dd"


@pytest.mark.parametrize(
    "char", ["\x00", "\x1b", "\r", "\x7f", "\x85", "\u202e", "\u2066", "\u2028", "\ud800", "\uffff"]
)
def test_what_would_break_or_hide_is_escaped(char: str) -> None:
    """Control characters, direction marks and halves of characters are shown as their code."""
    assert printable(f"a{char}b") == f"a\\u{ord(char):04x}b"


def test_the_rest_stays() -> None:
    """Line feeds, tabs and every script in the world."""
    text = "tab\tline\n日本語 עברית 🎉 \\u0000 <b>"
    assert printable(text) == text


def test_said_text_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is said, to either stream, and where the encoding lacks a letter."""
    say(EVIL)
    say(EVIL, err=True)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("ü", file=narrow)
    assert narrow.buffer.getvalue() == b"\\xfc\n"  # type: ignore[attr-defined]


def test_a_console_escapes_texts_and_keeps_its_colours() -> None:
    """In a table, a text and a plain string; the sequences that rich itself writes are still sent."""
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, color_system="standard", width=200)
    table = Table("name")
    table.add_row(EVIL, style="bold")
    console.print(table, Text(EVIL.replace("\a", "")), EVIL, highlight=False, markup=False)
    assert out.getvalue().count(SHOWN) == 2
    assert out.getvalue().count(SHOWN.replace("\\u0007", "")) == 1
    assert "\x1b[1m" in out.getvalue()
    assert "\x1b]" not in out.getvalue()


@pytest.mark.parametrize("error", [click.ClickException, click.UsageError, click.BadParameter])
def test_an_error_of_a_command_is_escaped(error: type[click.ClickException]) -> None:
    """What a file's name or a value put into the message; the exit code stays the error's own."""

    @click.group(cls=Group)
    def main() -> None:
        pass

    @main.command()
    def fails() -> None:
        raise error(EVIL)

    done = CliRunner().invoke(main, ["fails"])
    assert done.exit_code == error.exit_code
    assert done.stderr.endswith(f"{SHOWN}\n")


def bypassing(tree: ast.AST) -> Iterator[str]:
    """Name the calls that print without escaping: click's echo, rich's Console, and print to a standard stream."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("click.echo", "click.secho", "Console", "sys.stdout.write", "sys.stderr.write"):
                yield called


def test_nothing_prints_in_another_way() -> None:
    """Every module prints through `say` or a `SafeConsole`; two processes of the bench answer another process."""
    found = {(name, call) for name, tree in TREES.items() for call in bypassing(tree)}
    to_a_process = {("parity.bench.upstream", "sys.stdout.write"), ("parity.bench.load", "sys.stdout.write")}
    assert found <= {("proxies.support.terminal", "click.echo")} | to_a_process
    assert set(bypassing(ast.parse("click.echo(1); Console(); f.write(2)"))) == {"click.echo", "Console"}

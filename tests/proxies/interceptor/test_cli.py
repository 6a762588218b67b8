from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxies import cli
from proxies.interceptor import cli as interceptor_cli
from proxies.interceptor.ports import PortRegistry
from proxies.interceptor.project import default_user_id
from proxies.server.serving import SetUpError
from tests.proxies.interceptor.fakes import free_range


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTERCEPTOR_PORT", "INTERCEPTOR_UPSTREAM", "INTERCEPTOR_USER_ID"):
        monkeypatch.delenv(name, raising=False)
    low, high = free_range(10)
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(tmp_path / "ports.json"))
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", str(low))
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", str(high))
    monkeypatch.setattr("proxies.front.observing.logs.configure", lambda *_: None)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, which is the working directory too."""
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def run(*arguments: object, input: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], input=input)


def run_json(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.mark.parametrize(
    "command",
    [["interceptor"], ["ports"], *(["ports", name] for name in interceptor_cli.ports.commands)],
    ids=" ".join,
)
def test_help_teaches_with_examples(command: list[str]) -> None:
    """Every --help shows a whole command line."""
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert "memory-proxy " + command[0] in result.output.partition("Example")[2]


def test_the_subcommands() -> None:
    """What scripts may call."""
    assert set(interceptor_cli.ports.commands) == {"list", "show", "allocate", "remove", "check", "reset"}


def test_allocate_prints_the_port_alone(shop: Path) -> None:
    """The working directory's port, the same each time, fit for `$(…)`."""
    result = run("ports", "allocate")
    assert result.exit_code == 0
    assert result.stdout == f"{PortRegistry().get_port(shop)}\n"
    assert run("ports", "allocate", shop).stdout == result.stdout
    assert run_json("ports", "allocate") == {"project": str(shop), "port": int(result.stdout)}


def test_allocate_wants_a_directory(tmp_path: Path) -> None:
    """A slip in the path costs no port: exit code 2, and the path is named."""
    result = run("ports", "allocate", tmp_path / "shpo")
    assert result.exit_code == 2
    assert "shpo" in result.stderr
    assert PortRegistry().mappings() == {}


def test_list(shop: Path, tmp_path: Path) -> None:
    """For programs a line a project, tabs between, or JSON; nothing at all when there is none."""
    empty = run("ports", "list")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "No project has a port yet" in empty.stderr
    assert run_json("ports", "list") == []
    port = PortRegistry().get_or_allocate_port(shop)
    assert run("ports", "list").stdout == f"{port}\t{shop}\n"
    assert run_json("ports", "list") == [{"project": str(shop), "port": port}]


def test_tables_on_a_terminal(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With headings, and with paths whole however narrow the terminal is."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    long = "/src/" + "a[b]" * 30
    interceptor_cli._print_table(("port", "project"), [("8888", long)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["port", "project"]
    assert "".join(line[7:].strip() for line in lines[3:]) == long


def test_show(shop: Path) -> None:
    """Port, URL and user id of a project; exit code 1 while it has no port."""
    result = run("ports", "show")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{shop} has no port yet" in result.stderr
    assert run_json("ports", "show")["port"] is None
    port = PortRegistry().get_or_allocate_port(shop)
    result = run("ports", "show", shop)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"project: {shop}",
        f"port: {port}",
        f"url: http://127.0.0.1:{port}",
        f"user id: {default_user_id(shop)}",
        "serving: no",
    ]
    with PortRegistry().serving(port):
        assert run_json("ports", "show")["serving"] is True


def test_a_fixed_port_is_mentioned(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where INTERCEPTOR_PORT is set, show and allocate say that it is what counts for an interceptor."""
    monkeypatch.setenv("INTERCEPTOR_PORT", "7777")
    for command in ("allocate", "show"):
        result = run("ports", command)
        assert "7777" not in result.stdout
        assert (
            "INTERCEPTOR_PORT is set: an interceptor started here listens on 7777 instead." in result.stderr
        )


def test_remove(shop: Path, tmp_path: Path) -> None:
    """Several at once, also deleted ones; exit code 1 when one had no port; --stale finds the deleted."""
    registry = PortRegistry()
    port = registry.get_or_allocate_port(shop)
    gone = registry.get_or_allocate_port(tmp_path / "gone")
    assert run("ports", "remove").exit_code == 2
    result = run("ports", "remove", "--stale")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}/gone: removed, had port {gone}\n")
    with registry.serving(port):
        result = run("ports", "remove", shop, tmp_path / "other")
    assert (result.exit_code, result.stdout) == (1, f"{shop}: removed, had port {port}\n")
    assert f"An interceptor still listens on {port}." in result.stderr
    assert f"{tmp_path}/other: had no port" in result.stderr
    assert registry.mappings() == {}
    assert run_json("ports", "remove", shop) == [{"project": str(shop), "port": None}]


def test_check(shop: Path, tmp_path: Path) -> None:
    """Exit code 0 while all is well, 1 when a directory is gone, a port taken or the file damaged."""
    registry = PortRegistry()
    port = registry.get_or_allocate_port(shop)
    result = run("ports", "check")
    assert (result.exit_code, result.stdout) == (0, f"{port}\tfree\t{shop}\t\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        result = run("ports", "check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "registry": str(registry.path),
        "damage": [],
        "projects": [
            {
                "project": str(shop),
                "port": port,
                "state": "taken",
                "problems": ["another program listens on this port"],
                "notes": [],
            }
        ],
    }
    registry.get_or_allocate_port(tmp_path / "gone")
    result = run("ports", "check")
    assert result.exit_code == 1
    assert "the directory does not exist" in result.stdout
    assert "2 projects, 1 with problems" in result.stderr
    registry.path.write_text("broken")
    result = run("ports", "check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["damage"] == ["is not JSON"]


def test_reset_asks(shop: Path) -> None:
    """Only a yes, or --yes, forgets the ports."""
    registry = PortRegistry()
    registry.get_or_allocate_port(shop)
    for answer, code in (("n\n", 1), ("", 2)):
        result = run("ports", "reset", input=answer)
        assert result.exit_code == code
        assert "Forget the ports of all 1 projects" in result.stderr
        assert len(registry.mappings()) == 1
    assert run("ports", "reset", input="y\n").exit_code == 0
    assert registry.mappings() == {}
    registry.get_or_allocate_port(shop)
    assert run_json("ports", "reset", "--yes") == {"removed": 1}


def test_nobody_is_there_to_answer(shop: Path) -> None:
    """Without an input, reset says how it would do without."""
    PortRegistry().get_or_allocate_port(shop)
    result = run("ports", "reset")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: nobody is there to answer; --yes")


@pytest.mark.parametrize("command", interceptor_cli.ports.commands)
def test_what_cannot_be_done_is_told(command: str, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 and one sentence, for a wrong range and for a file from the future, in every command."""
    extra = {"reset": ["--yes"], "remove": ["."]}.get(command, [])
    PortRegistry().path.write_text('{"version": 7}')
    result = run("ports", command, *extra)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "has format version 7" in result.stderr
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", "x")
    result = run("ports", command, *extra)
    assert result.exit_code == 2
    assert "INTERCEPTOR_PORT_MIN: must be a port from 1 to 65535, not 'x'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--upstream", "localhost:8080"], "the upstream needs scheme and host"),
        (["--upstream", "http://u:hunter2@x"], "without key"),
        (["--user-id", "a\tb"], "the user id: must be printable ASCII"),
        (["--user-header", "host"], "the user header: host has a meaning of its own"),
        (["--grace", "nan"], "'--grace': 'nan' is no number of seconds"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: "),
        (["--project", "/no/such/directory"], "/no/such/directory"),
    ],
)
def test_a_wrong_interceptor_is_told(shop: Path, arguments: list[str], told: str) -> None:
    """Exit code 2 before anything is served, and no key is repeated."""
    result = run("interceptor", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "hunter2" not in result.stderr


def test_where_an_interceptor_listens(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--port beats INTERCEPTOR_PORT, which beats the project's own port."""
    bound: list[tuple[str, int]] = []

    def bind(host: str, port: int) -> socket.socket:
        bound.append((host, port))
        raise SetUpError("taken")

    monkeypatch.setattr("proxies.server.serving.bind", bind)
    port = PortRegistry().get_or_allocate_port(shop)
    assert run("interceptor").exit_code == 2
    monkeypatch.setenv("INTERCEPTOR_PORT", "7777")
    assert run("interceptor").exit_code == 2
    assert run("interceptor", "--port", "6666", "--host", "127.0.0.2").exit_code == 2
    assert bound == [("127.0.0.1", port), ("127.0.0.1", 7777), ("127.0.0.2", 6666)]

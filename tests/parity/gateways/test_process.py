"""A gateway's process: its installation, its start, and the sentences where these fail."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from parity.cli import main
from parity.gateways import process
from parity.gateways.process import GatewayError, install, running
from parity.gateways.profile import Install, Profile, find

SERVER = (
    "import sys; from http.server import HTTPServer, SimpleHTTPRequestHandler as Files; "
    "HTTPServer(('127.0.0.1', int(sys.argv[1])), Files).serve_forever()"
)


def profile(*start: str, **rest: object) -> Profile:
    base = find("passthrough").model_dump()
    return Profile.model_validate({**base, "name": "mine", "title": "Mine", "start": list(start), **rest})


def test_a_gateway_runs_with_its_files_on_a_free_port(tmp_path: Path) -> None:
    """What its templates say is written; it is ended with what it started."""
    mine = profile(
        "{{ python }}",
        "-c",
        SERVER,
        "{{ port }}",
        ready="/a/config.txt",
        files={"a/config.txt": "to {{ provider }}"},
    )
    with running(mine, tmp_path, {"provider": "there"}) as url:
        assert httpx.get(f"{url}/a/config.txt", trust_env=False).text == "to there"
    with pytest.raises(httpx.TransportError):
        httpx.get(url, trust_env=False)


@pytest.mark.parametrize(
    ("start", "rest", "told"),
    [
        (
            ("{{ python }}", "-c", "print('oh no'); raise SystemExit(3)"),
            {},
            "ended with exit code 3; it said:\n  oh no",
        ),
        (
            ("{{ python }}", "-c", "import time; time.sleep(30)"),
            {"patience": 0.2},
            "wasn't ready within 0.2 s",
        ),
        (("/no/such/program",), {}, "/no/such/program can't be started"),
    ],
)
def test_a_gateway_that_doesnt_start_is_told(
    tmp_path: Path, start: tuple[str, ...], rest: dict[str, object], told: str
) -> None:
    """With its last words."""
    with pytest.raises(GatewayError) as raised, running(profile(*start, **rest), tmp_path, {}):
        pass
    assert told in str(raised.value)


def test_what_needs_no_installation_is_here() -> None:
    """Its home is this environment."""
    assert install(find("passthrough"), print) == Path(sys.prefix)


def test_an_installation_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the registries' own clients, in a folder named by the version."""
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "recordings"))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    ran: list[list[str]] = []

    def noted(command: list[str], folder: Path, advice: str = "") -> None:
        ran.append(command)
        if "download" in command:
            (folder / "a.deb").touch()

    monkeypatch.setattr(process, "_run", noted)
    mine = profile(
        "x", version="1.2", install=Install(npm=["a@1.2"], pip=["b==1.2"], apt=["c=1.2"]).model_dump()
    )
    said: list[str] = []
    homes = {install(mine, said.append) for _ in range(2)}
    assert homes == {tmp_path / "gateways" / "mine-1.2"}
    assert said == ["installing Mine 1.2"]
    assert [command[0].rpartition("/")[2] for command in ran] == [
        "npm",
        Path(sys.executable).name,
        "python",
        "apt-get",
        "dpkg",
    ]


def test_an_installation_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the client's last lines; and where the client itself is missing, which one."""
    monkeypatch.setenv("PARITY_CACHE", str(tmp_path / "recordings"))
    mine = profile("x", version="1", install=Install(npm=["a@1"]).model_dump())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(GatewayError, match="npm is missing, which installs this gateway"):
        install(mine, print)
    monkeypatch.setattr(shutil, "which", lambda name: "/no/such/npm")
    with pytest.raises(GatewayError, match="didn't work"):
        install(mine, print)
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/false")
    with pytest.raises(GatewayError, match="ended with exit code 1"):
        install(mine, print)
    of_debian = profile("x", version="1", install=Install(apt=["a=1"]).model_dump())
    with pytest.raises(GatewayError, match="`apt-get update` reads which versions there are"):
        install(of_debian, print)


def test_the_command_judges_lists_and_writes(tmp_path: Path) -> None:
    """A pass is exit code 0 and its line the last; the page and the evidence are files."""
    page, found = tmp_path / "page.md", tmp_path / "found.json"
    done = CliRunner().invoke(
        main,
        [
            "judge",
            "passthrough",
            "-k",
            "chat.plain or (errors and 429)",
            "--page",
            str(page),
            "--json",
            str(found),
        ],
    )
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("PASS passthrough")
    assert "not applicable: " in done.output
    assert "| pass-through |" in page.read_text()
    assert found.read_text().startswith("[{")
    again = CliRunner().invoke(main, ["judge", "passthrough", "-k", "chat.plain", "--json", str(found)])
    assert again.exit_code == 0, again.output
    assert (
        found.read_text().count('"name":"passthrough"') + found.read_text().count('"name": "passthrough"')
        == 1
    )
    found.write_text("{}")
    wrong = CliRunner().invoke(main, ["judge", "passthrough", "-k", "chat.plain", "--json", str(found)])
    assert (wrong.exit_code, "holds no verdicts" in wrong.output) == (2, True)
    assert "nginx\t1.22" in CliRunner().invoke(main, ["judge", "--list"]).output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name a gateway (--list shows them), or give --all"),
        (("passthrough", "--all"), "name a gateway"),
        (("nobody",), "no gateway 'nobody'"),
    ],
)
def test_a_mistake_is_told(arguments: tuple[str, ...], told: str) -> None:
    """With exit code 2."""
    done = CliRunner().invoke(main, ["judge", *arguments])
    assert done.exit_code == 2
    assert told in done.output


def test_a_gateway_that_ends_is_exit_code_2(tmp_path: Path) -> None:
    """Not a verdict on it."""
    mine = tmp_path / "mine.yaml"
    text = (Path(process.__file__).with_name("profiles") / "passthrough.yaml").read_text()
    mine.write_text(text.replace("parity.gateways.passthrough", "no.such.module"))
    done = CliRunner().invoke(main, ["judge", str(mine), "-k", "chat.plain"])
    assert done.exit_code == 2
    assert "ended with exit code 1; it said:" in done.output

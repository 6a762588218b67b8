from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

import proxies.binary.backend
from proxies import cli
from proxies.config.limits import Limits
from proxies.config.models import ProxyConfig
from proxies.shared import Shared
from tests.root import ROOT

KEY = "sk-a-key-of-the-tests"
CONFIG = f"""\
model_list:
  - model_name: gpt
    litellm_params: {{model: openai/x, api_key: stub}}
general_settings:
  master_key: {KEY}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MEMORY_PROXY_CONFIG", "MEMORY_PROXY_LITELLM_URL", "MEMORY_PROXY_LITELLM_KEY"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `binary` would have served, without serving it."""
    calls: list[dict[str, Any]] = []

    def create_app(config: Any, **options: Any) -> object:
        calls.append({"config": config, **options})
        return object()

    def serve(
        name: str,
        make: Callable[[Shared], object],
        host: str,
        port: int,
        limits: Limits,
        grace: float,
        workers: int,
        once_up: object = None,
    ) -> None:
        make(Shared())
        calls[-1] |= {
            "name": name,
            "host": host,
            "port": port,
            "limits": limits,
            "grace": grace,
            "workers": workers,
        }

    monkeypatch.setattr(proxies.binary, "create_app", create_app)
    monkeypatch.setattr(cli, "_serve", serve)
    return calls


@pytest.fixture(autouse=True)
def _logging_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_log", lambda level, format: None)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", [[], ["binary"], ["sdk"], ["start"]])
def test_help_teaches_with_examples(command: list[str]) -> None:
    """Every --help shows a whole command line."""
    result = _run(*command, "--help")
    assert result.exit_code == 0
    assert "--config config.yaml" in result.output


def test_binary_serves_on_loopback_by_default(config: Path, served: list[dict[str, Any]]) -> None:
    """With a running LiteLLM, its URL and the master key go to the factory."""
    result = _run("binary", "--config", config, "--litellm-url", "http://127.0.0.1:4000/")
    assert result.exit_code == 0, result.output
    [call] = served
    assert (call["name"], call["host"], call["port"]) == ("binary", "127.0.0.1", 8080)
    assert (call["litellm_url"], call["litellm_key"]) == ("http://127.0.0.1:4000", KEY)


def test_binary_starts_litellm_itself(
    config: Path, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a URL the factory gets none, and starts one."""
    monkeypatch.setattr(cli, "find_command", lambda: ["litellm"])
    assert _run("binary", "--config", config).exit_code == 0
    assert (served[0]["litellm_url"], served[0]["litellm_key"]) == (None, None)


def test_everything_may_come_from_the_environment(
    config: Path, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config, LiteLLM's URL and its key have variables of their own."""
    monkeypatch.setenv("MEMORY_PROXY_CONFIG", str(config))
    monkeypatch.setenv("MEMORY_PROXY_LITELLM_URL", "http://127.0.0.1:4001")
    monkeypatch.setenv("MEMORY_PROXY_LITELLM_KEY", "sk-the-other-key")
    assert _run("binary").exit_code == 0
    assert (served[0]["litellm_url"], served[0]["litellm_key"]) == (
        "http://127.0.0.1:4001",
        "sk-the-other-key",
    )


def test_the_grace_is_the_callers(config: Path, served: list[dict[str, Any]]) -> None:
    """--grace is how long answers may take after a signal; what is no such time is refused."""
    url = ("--litellm-url", "http://127.0.0.1:4000")
    _run("binary", "--config", config, *url)
    _run("binary", "--config", config, *url, "--grace", "2.5")
    assert [call["grace"] for call in served] == [10.0, 2.5]
    for command in (["binary", *url], ["sdk"], ["start"]):
        for wrong in ("-1", "inf", "nan"):
            result = _run(*command, "--config", config, "--grace", wrong)
            assert result.exit_code == 2
            assert "Invalid value for '--grace'" in result.stderr


def test_start_hands_on_what_it_was_told(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No interceptor unless asked; alone the option means the working directory, and it may be given again."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(cli, "find_command", lambda: ["litellm"])
    monkeypatch.setattr("proxies.commands.start.start", lambda *arguments: calls.append(arguments))
    for more in (
        (),
        ("--interceptor", "--workers", "3"),
        ("--interceptor", tmp_path, "--interceptor", "--port", "0"),
    ):
        assert _run("start", "--config", config, *more).exit_code == 0
    assert all(isinstance(call[0], ProxyConfig) for call in calls)
    assert [call[1:] for call in calls] == [
        ("127.0.0.1", 8080, (), 10.0, 1),
        ("127.0.0.1", 8080, (Path(),), 10.0, 3),
        ("127.0.0.1", 0, (tmp_path, Path()), 10.0, 1),
    ]
    assert _run("start", "--config", config, "--interceptor", tmp_path / "none").exit_code == 2


@pytest.mark.parametrize("command", ["binary", "sdk", "start"])
def test_a_wrong_config_is_told_with_its_line(
    config: Path, command: str, served: list[dict[str, Any]]
) -> None:
    """Exit code 2, file, line and key, before anything is served."""
    config.write_text(CONFIG.replace(KEY, "sk-1234"))
    result = _run(command, "--config", config)
    assert result.exit_code == 2
    assert f"{config}:5: general_settings.master_key: " in result.output
    assert "sk-1234" not in result.output
    assert served == []


def test_sdk_refuses_what_it_would_have_to_ignore(config: Path) -> None:
    """Exit code 2 and the keys that only LiteLLM's server obeys."""
    config.write_text(f"{CONFIG}router_settings:\n  routing_strategy: least-busy\n")
    result = _run("sdk", "--config", config)
    assert result.exit_code == 2
    assert f"{config}:7: router_settings.routing_strategy: can only be simple-shuffle" in result.output


def test_missing_litellm_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 and the extra to install, for both architectures."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    for command, extra in (("binary", "live"), ("start", "live"), ("sdk", "sdk")):
        result = _run(command, "--config", config)
        assert result.exit_code == 2
        assert f"pip install 'proxy-parity[{extra}]'" in result.output


@pytest.mark.parametrize("url", ["localhost:4000", "ftp://x", "http://", "http://[", "http://u:hunter2@x"])
def test_a_wrong_url_is_refused(config: Path, url: str, served: list[dict[str, Any]]) -> None:
    """Exit code 2 for what is no HTTP address, and for one with a password in it, which isn't printed."""
    result = _run("binary", "--config", config, "--litellm-url", url)
    assert result.exit_code == 2
    assert "--litellm-url" in result.output
    assert "hunter2" not in result.output
    assert served == []


def test_a_port_in_use_is_told(config: Path) -> None:
    """Exit code 2 and what to do, with the port that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = _run(
            "binary", "--config", config, "--litellm-url", "http://127.0.0.1:1", "--port", str(port)
        )
    assert result.exit_code == 2
    assert f"can't listen on 127.0.0.1:{port}" in result.output
    assert "--port" in result.output


def test_an_unknown_host_is_told(config: Path) -> None:
    """Exit code 2 for a host that is no address of this machine."""
    result = _run("binary", "--config", config, "--litellm-url", "http://127.0.0.1:1", "--host", "256.0.0.1")
    assert result.exit_code == 2
    assert "--host 256.0.0.1" in result.output


@pytest.fixture
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "proxies", "binary", "--config", str(config), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--litellm-url", "http://127.0.0.1:1"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_stops(running: subprocess.Popen[str], number: signal.Signals) -> None:
    """One line says where it listens; there it answers, unnamed; a signal ends it cleanly."""
    assert running.stderr is not None
    line = running.stderr.readline()
    found = re.fullmatch(r"memory-proxy binary: listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line
    answer = httpx.get(f"{found[1]}/health", trust_env=False)
    assert answer.status_code == 200
    assert "server" not in answer.headers
    running.send_signal(number)
    assert running.wait(20) == 0
    assert "Traceback" not in running.stderr.read()


def test_a_litellm_that_is_not_there_yet(running: subprocess.Popen[str]) -> None:
    """It is said once, after the line that all is up and what isn't guarded, because LiteLLM may still come."""
    assert running.stderr is not None
    lines = [running.stderr.readline() for _ in range(3)]
    assert "listening on" in lines[0]
    assert "--litellm-url: a LiteLLM that was started elsewhere is not guarded from inside" in lines[1]
    assert "--litellm-url http://127.0.0.1:1: The LiteLLM process could not be reached." in lines[2]
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 0
    assert running.stderr.read() == ""


def test_logs_are_redacted() -> None:
    """Whatever any library logs goes to stderr without keys."""
    script = textwrap.dedent("""
        import logging
        from proxies import cli
        cli._log("debug")
        logging.getLogger("any.library").debug("Authorization: Bearer hunter22")
        logging.getLogger("httpcore").debug("x-api-key hunter22")
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert "any.library: Authorization: ***" in done.stderr
    assert "hunter22" not in done.stderr


@pytest.mark.live
@pytest.mark.timeout(120)
def test_a_litellm_that_fails_ends_the_start(config: Path) -> None:
    """A config that LiteLLM itself refuses is told by its last lines, exit code 2, no port served."""
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("needs litellm[proxy]")
    config.write_text(f"{CONFIG}router_settings:\n  health_check_interval: 3\n")
    command = [sys.executable, "-m", "proxies", "binary", "--config", str(config), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=False)
    assert done.returncode == 2
    assert "could not start: the LiteLLM process ended" in done.stderr
    assert "listening" not in done.stderr

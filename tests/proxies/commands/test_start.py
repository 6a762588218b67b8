from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from proxies.commands import start as module
from proxies.commands.start import start
from proxies.config.models import ProxyConfig
from proxies.interceptor.ports import PortRegistry
from proxies.interceptor.project import default_user_id
from proxies.server.serving import Service, SetUpError


@pytest.fixture
def config() -> ProxyConfig:
    models = [{"model_name": "gpt", "litellm_params": {"model": "openai/x", "api_key": "stub"}}]
    return ProxyConfig(
        model_list=models,
        general_settings={"master_key": "sk-a-key-of-the-tests"},
        user_id_mappings={"custom_header": "x-who"},
    )


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PortRegistry:
    """One of this test's own, in a range where there is room."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        lowest = min(free.getsockname()[1], 65000)
    monkeypatch.delenv("INTERCEPTOR_PORT", raising=False)
    monkeypatch.delenv("INTERCEPTOR_USER_ID", raising=False)
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(tmp_path / "ports.json"))
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", str(lowest))
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", str(lowest + 500))
    return PortRegistry()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[list[Service]]:
    """What would have been served; the announcement is made."""
    calls: list[list[Service]] = []

    def serve(services: Sequence[Service], *, grace: float, announce: Callable[[], None]) -> None:
        assert grace == 3.0
        calls.append(list(services))
        announce()

    monkeypatch.setattr(module.serving, "serve", serve)
    return calls


def test_alone_it_is_the_proxy(
    config: ProxyConfig, served: list[list[Service]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without projects one service, and one line on stdout; nothing on stderr where that is no terminal."""
    start(config, "127.0.0.1", 0, (), 3.0)
    [[proxy]] = served
    assert proxy.name == "binary"
    name, url = capsys.readouterr().out.split()
    assert (name, url.rpartition(":")[0]) == ("proxy", "http://127.0.0.1")
    assert capsys.readouterr().err == ""


def test_each_project_has_its_interceptor(
    config: ProxyConfig,
    registry: PortRegistry,
    served: list[list[Service]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the project's own port, once however it is written; a line each with URL, user id and directory."""
    projects = [tmp_path / "shop", tmp_path / "my blog"]
    for project in projects:
        project.mkdir()
    start(config, "127.0.0.1", 0, [*projects, tmp_path / "shop" / ".." / "shop"], 3.0)
    [services] = served
    assert [service.name for service in services] == ["binary", "interceptor", "interceptor"]
    lines = capsys.readouterr().out.splitlines()
    for line, project in zip(lines[1:], projects, strict=True):
        name, url, user, where = line.split(maxsplit=3)
        assert (name, url) == ("interceptor", f"http://127.0.0.1:{registry.get_port(project)}")
        assert (user, where) == (default_user_id(project), str(project.resolve()))


@pytest.mark.parametrize(("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
async def test_an_interceptor_forwards_to_the_proxy_as_its_project(
    config: ProxyConfig,
    served: list[list[Service]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    reached: str,
) -> None:
    """To where the proxy can be reached from here, in the header that the configuration names."""
    made: list[dict[str, Any]] = []

    def create_app(upstream: str, user_id: str, *, user_header: str) -> None:
        made.append({"to": upstream, "user": user_id, "user_header": user_header})

    monkeypatch.setattr(module.interceptor, "create_app", create_app)
    start(config, host, 0, [tmp_path], 3.0)
    served[0][1].create_app()
    [made_with] = made
    assert made_with["to"].rpartition(":")[0] == f"http://{reached}"
    assert made_with["user"] == default_user_id(tmp_path)
    assert made_with["user_header"] == "x-who"


def test_a_user_id_from_outside(
    config: ProxyConfig,
    served: list[list[Service]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """INTERCEPTOR_USER_ID is whose memories a single project uses, as it is for `memory-proxy interceptor`."""
    monkeypatch.setenv("INTERCEPTOR_USER_ID", "the-shop")
    start(config, "127.0.0.1", 0, [tmp_path], 3.0)
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "the-shop"


@pytest.mark.parametrize(
    ("name", "value", "what"), [("INTERCEPTOR_USER_ID", "ann", "user"), ("INTERCEPTOR_PORT", "9000", "port")]
)
def test_one_for_several_projects_is_refused(
    config: ProxyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    """Or their memories would be one, and the second one's port be taken."""
    monkeypatch.setenv(name, value)
    (tmp_path / "shop").mkdir()
    with pytest.raises(SetUpError, match=f"{name} is one {what}, but there are 2 projects: unset it"):
        start(config, "127.0.0.1", 0, [tmp_path, tmp_path / "shop"], 3.0)


def test_while_it_runs_the_registry_says_serving(
    config: ProxyConfig, registry: PortRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ports check` knows of it, and a second one on the same project is refused; afterwards all is free."""
    seen: list[str] = []

    def serve(services: Sequence[Service], **_: object) -> None:
        seen.extend(row.state for row in registry.check())
        with pytest.raises(SetUpError, match="an interceptor listens on port"):
            start(config, "127.0.0.1", 0, [tmp_path], 3.0)

    monkeypatch.setattr(module.serving, "serve", serve)
    start(config, "127.0.0.1", 0, [tmp_path], 3.0)
    assert seen == ["serving"]
    assert [row.state for row in registry.check()] == ["free"]


def test_a_port_of_somebody_else_is_told(
    config: ProxyConfig, registry: PortRegistry, served: list[list[Service]], tmp_path: Path
) -> None:
    """Exit code 2 with the port; nothing is served."""
    port = registry.get_or_allocate_port(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(
            SetUpError, match=f"can't listen on 127.0.0.1:{port}: .*memory-proxy ports remove"
        ):
            start(config, "127.0.0.1", 0, [tmp_path], 3.0)
    assert served == []


def test_a_registry_that_cannot_be_used_is_told(
    config: ProxyConfig, served: list[list[Service]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 in the registry's own words."""
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", "65000")
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", "64000")
    with pytest.raises(SetUpError, match="INTERCEPTOR_PORT_MIN"):
        start(config, "127.0.0.1", 0, [tmp_path], 3.0)
    assert served == []


def test_on_a_terminal_something_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress is shown until it is ended, and only there."""
    shown: list[str] = []

    class Terminal:
        is_terminal = True

        def __init__(self, **_: object) -> None: ...

        @contextlib.contextmanager
        def status(self, text: str) -> Iterator[Any]:
            shown.append(text)
            yield type("Status", (), {"stop": lambda self: shown.append("stopped")})()

    monkeypatch.setattr(module, "SafeConsole", Terminal)
    with module._progress("starting") as stop:
        stop()
    assert shown == ["starting", "stopped"]

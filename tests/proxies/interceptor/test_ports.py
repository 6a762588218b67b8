from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxies.interceptor import ports
from proxies.interceptor.ports import PortRegistry, PortRegistryError
from tests.proxies.interceptor.fakes import free_range
from tests.root import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTERCEPTOR_PORT", "INTERCEPTOR_PORT_MIN", "INTERCEPTOR_PORT_MAX", "PORT_REGISTRY_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ports.json"


@pytest.fixture
def registry(path: Path) -> PortRegistry:
    return PortRegistry(path, *free_range(20))


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", family: int = socket.AF_INET, port: int = 0) -> Iterator[int]:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind((host, port))
        sock.listen()
        yield sock.getsockname()[1]


def test_a_project_keeps_its_port(registry: PortRegistry, tmp_path: Path) -> None:
    """The same port every time, in every spelling of the directory, from every object and after a restart."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "shop")
    port = registry.get_or_allocate_port(tmp_path / "shop")
    again = PortRegistry(registry.path, registry.min_port, registry.max_port)
    for spelling in (tmp_path / "shop", f"{tmp_path}/shop/", tmp_path / "link"):
        assert again.get_or_allocate_port(spelling) == port
        assert again.get_port(spelling) == port


def test_projects_have_ports_of_their_own(registry: PortRegistry) -> None:
    """Several projects get several ports, all of the range, the lowest first."""
    given = [registry.get_or_allocate_port(f"/src/{n}") for n in range(5)]
    assert given == sorted(set(given))
    assert all(registry.min_port <= port <= registry.max_port for port in given)
    assert registry.mappings() == {f"/src/{n}": port for n, port in enumerate(given)}


def test_the_file_is_what_is_documented(registry: PortRegistry) -> None:
    """Versioned JSON, ports by directory."""
    port = registry.get_or_allocate_port("/src/shop")
    assert json.loads(registry.path.read_text()) == {"version": 1, "ports": {"/src/shop": port}}


def test_names_that_are_no_text(registry: PortRegistry) -> None:
    """A directory whose name is no UTF-8 keeps its port too."""
    project = os.fsdecode(b"/src/\xff")
    port = registry.get_or_allocate_port(project)
    assert registry.get_port(project) == port


def test_the_old_name_still_works(registry: PortRegistry) -> None:
    """`allocate_port` returns the same port and says what to call instead, where it was called."""
    with pytest.warns(DeprecationWarning, match="use get_or_allocate_port") as caught:
        port = registry.allocate_port("/src/shop")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry.get_or_allocate_port("/src/shop") == port


def test_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """8888 to 9999, in the platform's folder for state."""
    monkeypatch.setattr(ports, "user_state_path", lambda name: tmp_path / name)
    registry = PortRegistry()
    assert (registry.min_port, registry.max_port) == (8888, 9999)
    assert registry.path == tmp_path / "memory-proxy" / "ports.json"


def test_the_environment(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Range and file have variables; arguments beat them, and a blank one counts as none."""
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(path))
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", "20000")
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", "20100")
    registry = PortRegistry()
    assert (registry.path, registry.min_port, registry.max_port) == (path, 20000, 20100)
    registry = PortRegistry(f"{path}.other", 30000, 30001)
    assert (registry.path.name, registry.min_port, registry.max_port) == ("ports.json.other", 30000, 30001)
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", " ")
    assert PortRegistry().min_port == 8888


@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1", "8.5"])
def test_a_wrong_range_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and what it may be."""
    monkeypatch.setenv("INTERCEPTOR_PORT_MAX", value)
    with pytest.raises(PortRegistryError, match=rf"INTERCEPTOR_PORT_MAX: .* from 1 to 65535, not '{value}'"):
        PortRegistry("/nowhere/ports.json")


def test_an_upside_down_range_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends and both variables are named."""
    monkeypatch.setenv("INTERCEPTOR_PORT_MIN", "10000")
    with pytest.raises(
        PortRegistryError, match=r"10000 \(INTERCEPTOR_PORT_MIN\), is above .* 9999 \(INTERCEPTOR_PORT_MAX\)"
    ):
        PortRegistry("/nowhere/ports.json")


def test_a_fixed_port_is_for_one_run(registry: PortRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """INTERCEPTOR_PORT is where this run listens; the registry doesn't learn it, and stable ports stay."""
    port = registry.listening_port("/src/shop")
    monkeypatch.setenv("INTERCEPTOR_PORT", "7777")
    assert registry.listening_port("/src/shop") == registry.listening_port("/src/other") == 7777
    assert registry.mappings() == {"/src/shop": port}
    assert registry.get_or_allocate_port("/src/shop") == port
    monkeypatch.setenv("INTERCEPTOR_PORT", "http")
    with pytest.raises(
        PortRegistryError, match="INTERCEPTOR_PORT: must be a port from 0 to 65535, not 'http'"
    ):
        registry.listening_port("/src/shop")


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("", socket.AF_INET), ("::1", socket.AF_INET6)]
)
def test_ports_in_use_are_not_given_out(path: Path, host: str, family: int) -> None:
    """A port that some program listens on, on whatever address, isn't given out; an old mapping stays."""
    low, high = free_range(2)
    try:
        with listening(host, family, low):
            registry = PortRegistry(path, low, high)
            assert registry.get_or_allocate_port("/src/shop") == high
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            pytest.skip("no IPv6 here")
        raise
    with listening(port=high):
        assert registry.get_or_allocate_port("/src/shop") == high
    assert registry.get_or_allocate_port("/src/other") == low


def test_a_full_range_is_told(path: Path) -> None:
    """The range, who has its ports, and the variables to change; nothing is lost."""
    low, high = free_range(3)
    registry = PortRegistry(path, low, high)
    with listening(port=low + 1):
        assert registry.get_or_allocate_port("/src/a") == low
        assert registry.get_or_allocate_port("/src/b") == high
        with pytest.raises(PortRegistryError) as caught:
            registry.get_or_allocate_port("/src/c")
    told = str(caught.value)
    assert f"{low}-{high}" in told
    assert "2 belong to projects, 1 are used by other programs" in told
    assert "INTERCEPTOR_PORT_MIN" in told
    assert "INTERCEPTOR_PORT_MAX" in told
    assert registry.mappings() == {"/src/a": low, "/src/b": high}


def test_a_mapping_outlives_its_range(registry: PortRegistry) -> None:
    """Another range changes no port that was given; `check` notes it, and it is no problem."""
    port = registry.get_or_allocate_port("/")
    other = PortRegistry(registry.path, 1024, 1025)
    assert other.get_or_allocate_port("/") == port
    [row] = other.check()
    assert (row.problems, row.notes) == ((), ("outside the range 1024-1025",))


def test_remove_and_reset(registry: PortRegistry) -> None:
    """A forgotten project's port can be given again; forgetting twice is harmless."""
    first, second = (registry.get_or_allocate_port(f"/src/{n}") for n in range(2))
    assert registry.remove("/src/0/") == first
    assert registry.remove("/src/0") is None
    assert registry.get_port("/src/0") is None
    assert registry.mappings() == {"/src/1": second}
    assert registry.get_or_allocate_port("/src/2") == first
    assert registry.reset() == 2
    assert registry.mappings() == {}


def test_check(registry: PortRegistry, tmp_path: Path) -> None:
    """Each project: is its port free, served by its interceptor, taken by another program; is it still there."""
    given = {
        name: registry.get_or_allocate_port(tmp_path / name) for name in ("free", "served", "taken", "gone")
    }
    for name in ("free", "served", "taken"):
        (tmp_path / name).mkdir()
    with registry.serving(given["served"]), listening(port=given["served"]), listening(port=given["taken"]):
        assert registry.is_served(given["served"])
        rows = {Path(row.project).name: row for row in registry.check()}
    assert {name: (row.state, row.problems) for name, row in rows.items()} == {
        "free": ("free", ()),
        "served": ("serving", ()),
        "taken": ("taken", ("another program listens on this port",)),
        "gone": ("free", ("the directory does not exist",)),
    }
    assert not registry.is_served(given["served"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"version": 1, "ports": {"/a": 20', "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"", "is empty"),
        (b"[]", "is no port registry"),
        (b'{"ports": {}}', "is no port registry"),
        (b'{"version": "1", "ports": {}}', "is no port registry"),
        (b'{"version": 1, "ports": []}', "is no port registry"),
    ],
)
def test_a_damaged_file_is_kept_aside(
    registry: PortRegistry, content: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Allocation goes on; the warning names the file, what is wrong and where its copy is."""
    registry.path.parent.mkdir()
    registry.path.write_bytes(content)
    assert registry.mappings() == {}
    assert registry.damage() == (told,)
    assert registry.path.read_bytes() == content, "looking changes nothing"
    caplog.clear()
    port = registry.get_or_allocate_port("/src/shop")
    [aside] = registry.path.parent.glob("*corrupt*")
    assert aside.read_bytes() == content
    assert caplog.messages == [f"{registry.path}: {told}; kept as {aside}"]
    assert registry.mappings() == {"/src/shop": port}
    assert registry.damage() == ()


def test_copies_never_overwrite_each_other(registry: PortRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in the same second, or after the clock was set back, are two files."""
    monkeypatch.setattr("time.gmtime", lambda: (2026, 1, 31, 12, 0, 0, 5, 31, 0))
    registry.path.parent.mkdir()
    for n in range(3):
        registry.path.write_text(f"broken {n}")
        registry.get_or_allocate_port("/src/shop")
    kept = sorted(registry.path.parent.glob("*corrupt*"))
    assert [file.name.partition("corrupt-")[2] for file in kept] == [
        "20260131T120000Z",
        "20260131T120000Z.1",
        "20260131T120000Z.2",
    ]
    assert {file.read_text() for file in kept} == {"broken 0", "broken 1", "broken 2"}


def test_the_good_rows_of_a_damaged_file_stay(
    registry: PortRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A slip in one row costs no other project its port; each bad row is named."""
    rows = {"/a": 20001, "/b": 20001, "/c": 99999, "/d": "20002", "/e": True, "f": 20003, "/g": 20004}
    registry.path.parent.mkdir()
    registry.path.write_text(json.dumps({"version": 1, "ports": rows}))
    registry.get_or_allocate_port("/h")
    assert {"/a": 20001, "/g": 20004}.items() <= registry.mappings().items()
    assert set(registry.mappings()) == {"/a", "/g", "/h"}
    assert "'/b' has the port of '/a', 20001; '/c' has no valid port; '/d' has no valid port" in caplog.text
    assert "'f' is no absolute path" in caplog.text
    [aside] = registry.path.parent.glob("*corrupt*")
    assert json.loads(aside.read_text())["ports"] == rows


def test_a_newer_file_is_left_alone(registry: PortRegistry) -> None:
    """A format from the future is an error, whatever is asked, and stays as it is."""
    content = '{"version": 2, "ports": {"/src/shop": 20000}}'
    registry.path.parent.mkdir()
    registry.path.write_text(content)
    for ask in (
        lambda: registry.get_or_allocate_port("/src/shop"),
        lambda: registry.remove("/src/shop"),
        registry.mappings,
        registry.reset,
    ):
        with pytest.raises(PortRegistryError, match="has format version 2, and this memory-proxy knows 1"):
            ask()
    assert registry.path.read_text() == content
    assert {file.name for file in registry.path.parent.iterdir()} <= {"ports.json", "ports.json.lock"}


def test_a_file_that_cannot_be_read_is_told(path: Path) -> None:
    """It isn't taken for a damaged one."""
    path.mkdir(parents=True)
    with pytest.raises(PortRegistryError, match=r"ports\.json: can't be read: Is a directory"):
        PortRegistry(path).mappings()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The message names the path and why."""
    (tmp_path / "file").touch()
    with pytest.raises(PortRegistryError, match=r"file.*: (Not a directory|File exists)"):
        PortRegistry(tmp_path / "file" / "ports.json").get_or_allocate_port("/src/shop")


def test_a_symlink_stays_one(registry: PortRegistry, tmp_path: Path) -> None:
    """Where the file is a link, its target is written."""
    registry.path.parent.mkdir()
    (tmp_path / "link.json").symlink_to(registry.path)
    linked = PortRegistry(tmp_path / "link.json", registry.min_port, registry.max_port)
    port = linked.get_or_allocate_port("/src/shop")
    assert (tmp_path / "link.json").is_symlink()
    assert registry.get_port("/src/shop") == port


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk(registry: PortRegistry, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear error, the old file as it was, no rubbish, and the next allocation works."""
    port = registry.get_or_allocate_port("/src/a")
    before = registry.path.read_bytes()
    with monkeypatch.context() as patched:

        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched.setattr(os, failing, fail)
        with pytest.raises(
            PortRegistryError,
            match=r"ports\.json: can't be written: No space left on device\. It is as it was",
        ):
            registry.get_or_allocate_port("/src/b")
    assert registry.path.read_bytes() == before
    assert {file.name for file in registry.path.parent.iterdir()} == {"ports.json", "ports.json.lock"}
    assert registry.get_or_allocate_port("/src/b") == port + 1


def test_a_file_that_may_not_grow(registry: PortRegistry) -> None:
    """The same with a limit that the kernel keeps: the write itself fails half-way."""
    registry.get_or_allocate_port("/src/a")
    before = registry.path.read_bytes()
    ended = run(
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40)); "
        "registry.get_or_allocate_port('/src/b')",
        registry,
    )
    assert "can't be written: File too large. It is as it was before" in ended.stderr
    assert registry.path.read_bytes() == before


@pytest.mark.parametrize(
    ("where", "allocated"), [("fsync", False), ("replace", False), ("after replace", True)]
)
def test_killed_in_mid_write(registry: PortRegistry, where: str, allocated: bool) -> None:
    """SIGKILL at any step leaves a whole file, old or new, and no lock; the next writer goes on."""
    registry.get_or_allocate_port("/src/a")
    kill = "os.kill(os.getpid(), 9)"
    strike = {
        "fsync": f"os.fsync = lambda fd: {kill}",
        "replace": f"os.replace = lambda *names: {kill}",
        "after replace": f"replace = os.replace; os.replace = lambda *names: (replace(*names), {kill})",
    }[where]
    ended = run(f"import os; {strike}; registry.get_or_allocate_port('/src/b')", registry)
    assert ended.returncode == -signal.SIGKILL
    assert list(registry.mappings()) == (["/src/a", "/src/b"] if allocated else ["/src/a"])
    assert registry.get_or_allocate_port("/src/c") == registry.min_port + (2 if allocated else 1)
    assert not list(registry.path.parent.glob("*.tmp"))


def test_a_stuck_lock_is_told(registry: PortRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long says for what; a project that has its port doesn't wait at all."""
    port = registry.get_or_allocate_port("/src/a")
    monkeypatch.setattr(ports, "_LOCK_SECONDS", 0.05)
    with registry._locked():
        assert registry.get_or_allocate_port("/src/a") == port
        with pytest.raises(PortRegistryError, match=r"ports\.json\.lock: another process has held this lock"):
            PortRegistry(registry.path).get_or_allocate_port("/src/b")


def test_serving_is_a_courtesy(
    tmp_path: Path, registry: PortRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """An interceptor serves also where it can't leave its mark."""
    (tmp_path / "file").touch()
    with PortRegistry(tmp_path / "file" / "ports.json").serving(20000):
        pass
    assert not registry.is_served(20000)


def test_importing_is_cheap(registry: PortRegistry) -> None:
    """The registry alone loads no web framework, no HTTP client and no litellm."""
    ended = run(
        "import sys; print({'fastapi', 'httpx', 'litellm', 'pydantic', 'starlette'} & set(sys.modules))",
        registry,
    )
    assert ended.stdout.strip() == "set()"


def run(code: str, registry: PortRegistry) -> subprocess.CompletedProcess[str]:
    """`code` in a process of its own, with the same registry as `registry`."""
    made = f"PortRegistry({str(registry.path)!r}, {registry.min_port}, {registry.max_port})"
    return subprocess.run(
        [sys.executable, "-c", f"from proxies.interceptor.ports import *; registry = {made}; {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

"""The port registry: one stable port for each project directory, kept in a file that many processes share.

    get_or_allocate_port ── known? ──> its port, read without a lock
                               └─ no ─> lock ─ read ─ choose ─ temporary file ─ fsync ─ rename ─ unlock

The lock is held around reading and writing together, on a file of its own; the kernel lets go of it however its
holder dies. Readers need none: a rename shows them the old file or the new one, whole.

    {"version": 1, "ports": {"/home/me/shop": 8888}}
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from proxies.interceptor.project import project_key
from proxies.support.files import read_regular, sync_folder, write_new

PATH_VARIABLE = "PORT_REGISTRY_PATH"
PORT_VARIABLE = "INTERCEPTOR_PORT"
MIN_VARIABLE = "INTERCEPTOR_PORT_MIN"
MAX_VARIABLE = "INTERCEPTOR_PORT_MAX"

FORMAT_VERSION = 1

State = Literal["serving", "free", "taken"]

_DEFAULT_MIN = 8888
_DEFAULT_MAX = 9999
_HIGHEST = 65535
_LARGEST = 16 * 1024**2  # bytes of a registry; 65,535 projects with long names are less
# A change takes milliseconds. Whoever holds the lock longer than this was stopped, or its disk hangs.
_LOCK_SECONDS = 30.0
_POLL_SECONDS = 0.01
_log = logging.getLogger(__name__)


class PortRegistryError(Exception):
    """No port can be given, or the registry's file can't be read or written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ProjectPort:
    """One row of `PortRegistry.check`.

    `state` is "serving" when the project's interceptor listens on `port`, "taken" when another program does.
    `problems` are what keeps the project from being served, in words; `notes` what is merely unusual.
    """

    project: str
    port: int
    state: State
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PortRegistry:
    """Ports by project directory, in the file `path`.

    Without `path` it is PORT_REGISTRY_PATH, else `memory-proxy/ports.json` where the platform keeps programs' state;
    without `min_port` and `max_port`, both inclusive, INTERCEPTOR_PORT_MIN and INTERCEPTOR_PORT_MAX, else 8888 and
    9999. The environment is read when the registry is made. A project is named by its directory's path, in any
    spelling; a port once given stays, also when the range changes. All methods raise `PortRegistryError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        min_port: int | None = None,
        max_port: int | None = None,
    ) -> None:
        given = path if path is not None else os.environ.get(PATH_VARIABLE, "").strip()
        chosen = Path(given).expanduser() if given else user_state_path("memory-proxy") / "ports.json"
        # The target of a symlink, or the first rename would put a file in the link's place.
        self.path = chosen.resolve()
        self.min_port = _bound(min_port, MIN_VARIABLE, _DEFAULT_MIN)
        self.max_port = _bound(max_port, MAX_VARIABLE, _DEFAULT_MAX)
        if self.min_port > self.max_port:
            raise PortRegistryError(
                f"the lowest port, {self.min_port} ({MIN_VARIABLE}), is above the highest, "
                f"{self.max_port} ({MAX_VARIABLE})"
            )

    def get_or_allocate_port(self, project_path: str | os.PathLike[str]) -> int:
        """The project's port; a new one is the lowest in the range that no project has and no program uses."""
        project = project_key(project_path)
        known = self._read().ports.get(project)
        if known is not None:
            return known
        with self._changing() as ports:
            if project not in ports:
                ports[project] = self._unused(ports)
            return ports[project]

    def allocate_port(self, project_path: str | os.PathLike[str]) -> int:
        """Deprecated name of `get_or_allocate_port`."""
        warnings.warn(
            "PortRegistry.allocate_port is deprecated; use get_or_allocate_port",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.get_or_allocate_port(project_path)

    def listening_port(self, project_path: str | os.PathLike[str]) -> int:
        """Where this run's interceptor listens: INTERCEPTOR_PORT, else the project's port.

        INTERCEPTOR_PORT is one port for one run, so the registry neither learns it nor is asked; 0 is any free port.
        """
        fixed = self.fixed_port()
        return self.get_or_allocate_port(project_path) if fixed is None else fixed

    @staticmethod
    def fixed_port() -> int | None:
        """INTERCEPTOR_PORT, None where it isn't set."""
        text = os.environ.get(PORT_VARIABLE, "").strip()
        return _number(text, PORT_VARIABLE, lowest=0) if text else None

    def get_port(self, project_path: str | os.PathLike[str]) -> int | None:
        """The project's port, None when it has none yet."""
        return self.mappings().get(project_key(project_path))

    def mappings(self) -> dict[str, int]:
        """The ports by project, in the order of the ports."""
        contents = self._read()
        if contents.damage:
            _log.warning("%s: %s; the next change keeps a copy aside", self.path, "; ".join(contents.damage))
        return _ordered(contents.ports)

    def remove(self, project_path: str | os.PathLike[str]) -> int | None:
        """Forget the project; returns the port that it had, None when it had none."""
        project = project_key(project_path)
        with self._changing() as ports:
            return ports.pop(project, None)

    def reset(self) -> int:
        """Forget all projects; returns how many there were."""
        with self._changing() as ports:
            count = len(ports)
            ports.clear()
        return count

    def check(self) -> list[ProjectPort]:
        """How it stands with each project, in the order of the ports."""
        return [self._checked(project, port) for project, port in self.mappings().items()]

    def damage(self) -> tuple[str, ...]:
        """Tell what is wrong with the file itself; empty when nothing is."""
        return self._read().damage

    @contextlib.contextmanager
    def serving(self, port: int) -> Iterator[None]:
        """While inside, `check` of any process knows that an interceptor listens on `port`; also after a crash
        that it no longer does. That is all: failing to tell keeps nobody from serving."""
        lock = FileLock(self._lock_of(port))
        # Someone who only looks holds it for a moment.
        with contextlib.suppress(Timeout, OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=1, poll_interval=_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def is_served(self, port: int) -> bool:
        """Whether some process is inside `serving(port)`."""
        file = self._lock_of(port)
        if not file.exists():
            return False
        try:
            with FileLock(file).acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def _lock_of(self, port: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{port}.lock")

    def _checked(self, project: str, port: int) -> ProjectPort:
        problems, notes = [], []
        state: State = "free"
        if self.is_served(port):
            state = "serving"
        elif not _can_listen(port):
            state = "taken"
            problems.append("another program listens on this port")
        if not os.path.isdir(project):
            problems.append("the directory does not exist")
        if not self.min_port <= port <= self.max_port:
            notes.append(f"outside the range {self.min_port}-{self.max_port}")
        return ProjectPort(project, port, state, tuple(problems), tuple(notes))

    def _unused(self, ports: dict[str, int]) -> int:
        given = set(ports.values())
        candidates = [port for port in range(self.min_port, self.max_port + 1) if port not in given]
        for port in candidates:
            if _is_unused(port):
                return port
        whole = self.max_port - self.min_port + 1
        raise PortRegistryError(
            f"no port is left in the range {self.min_port}-{self.max_port}: {whole - len(candidates)} belong to "
            f"projects, {len(candidates)} are used by other programs. Widen it with {MIN_VARIABLE} and "
            f"{MAX_VARIABLE}, or forget deleted projects with `memory-proxy ports remove --stale`"
        )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, int]]:
        """The ports, to be changed in place; nobody else changes them meanwhile. Written at the end if changed."""
        with self._locked():
            contents = self._read()
            ports = dict(contents.ports)
            yield ports
            if contents.damage:
                self._keep_aside(contents)
            if contents.damage or ports != contents.ports:
                self._write(ports)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        file = self.path.with_name(f"{self.path.name}.lock")
        lock = FileLock(file)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_LOCK_SECONDS, poll_interval=_POLL_SECONDS)
        except Timeout:
            raise PortRegistryError(
                f"{file}: another process has held this lock for {_LOCK_SECONDS:.0f} seconds"
            ) from None
        except OSError as error:
            raise PortRegistryError(f"{file}: can't be locked: {_why(error)}") from None
        try:
            yield
        finally:
            lock.release()

    def _read(self) -> _Contents:
        try:
            raw = read_regular(self.path, _LARGEST)
        except FileNotFoundError:
            return _Contents({})
        except OSError as error:
            raise PortRegistryError(f"{self.path}: can't be read: {_why(error)}") from None
        return _parsed(raw, self.path)

    def _write(self, ports: dict[str, int]) -> None:
        document = {"version": FORMAT_VERSION, "ports": _ordered(ports)}
        # One name for all: only the holder of the lock writes, and what a killed one left is replaced.
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        try:
            temporary.unlink(missing_ok=True)
            write_new(temporary, json.dumps(document, indent=2).encode() + b"\n")
            os.replace(temporary, self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise PortRegistryError(
                f"{self.path}: can't be written: {_why(error)}. It is as it was before"
            ) from None
        sync_folder(self.path.parent)

    def _keep_aside(self, contents: _Contents) -> None:
        """A copy under a new name; the file itself is replaced by the write that follows."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for n in range(1000):
            suffix = f".{n}" if n else ""
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}{suffix}")
            try:
                write_new(aside, contents.raw)
            except FileExistsError:
                continue
            except OSError as error:
                with contextlib.suppress(OSError):
                    aside.unlink()
                raise PortRegistryError(
                    f"{self.path}: {'; '.join(contents.damage)}, and no copy can be kept as {aside}: {_why(error)}"
                ) from None
            _log.warning("%s: %s; kept as %s", self.path, "; ".join(contents.damage), aside)
            return
        raise PortRegistryError(f"{self.path}: too many damaged copies beside it; delete some")


@dataclass(frozen=True, slots=True)
class _Contents:
    ports: dict[str, int]
    damage: tuple[str, ...] = ()
    raw: bytes = b""


def _parsed(raw: bytes, path: Path) -> _Contents:
    """Return what can be used of the file, and what is wrong with the rest."""
    try:
        document: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return _Contents({}, ("is not JSON" if raw.strip() else "is empty",), raw)
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is int and version != FORMAT_VERSION:
        raise PortRegistryError(
            f"{path}: has format version {version}, and this memory-proxy knows {FORMAT_VERSION}; "
            f"upgrade memory-proxy, or name another file in {PATH_VARIABLE}"
        )
    rows = document.get("ports") if type(version) is int else None
    if not isinstance(rows, dict):
        return _Contents({}, ("is no port registry",), raw)
    ports: dict[str, int] = {}
    damage: list[str] = []
    owners: dict[int, str] = {}
    for project, port in rows.items():
        if type(port) is not int or not 1 <= port <= _HIGHEST:
            damage.append(f"{project!r} has no valid port")
        elif not (_is_path(project) and os.path.isabs(project)):
            damage.append(f"{project!r} is no absolute path")
        elif port in owners:
            damage.append(f"{project!r} has the port of {owners[port]!r}, {port}")
        else:
            ports[project] = port
            owners[port] = project
    return _Contents(ports, tuple(damage), raw)


def _is_path(project: str) -> bool:
    """Tell whether the text can name a directory: JSON can hold half characters, which no path has."""
    try:
        return b"\0" not in os.fsencode(project)
    except UnicodeEncodeError:
        return False


def _ordered(ports: dict[str, int]) -> dict[str, int]:
    return dict(sorted(ports.items(), key=lambda item: item[1]))


def _bound(given: int | None, variable: str, default: int) -> int:
    if given is not None:
        return _number(given, variable)
    text = os.environ.get(variable, "").strip()
    return _number(text, variable) if text else default


def _number(given: int | str, name: str, lowest: int = 1) -> int:
    try:
        number = int(given)
    except ValueError:
        number = -1
    if not lowest <= number <= _HIGHEST:
        raise PortRegistryError(f"{name}: must be a port from {lowest} to {_HIGHEST}, not {given!r}")
    return number


def _is_unused(port: int) -> bool:
    """Nothing is bound to the port, on any address. Careful: connections just closed count as use."""
    for family, host in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                return False
    return True


def _can_listen(port: int) -> bool:
    """Whether an interceptor that starts now could listen; it wouldn't mind connections just closed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # on Windows the option would take the port from whoever has it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _why(error: OSError) -> str:
    return error.strerror or str(error)

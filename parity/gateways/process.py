"""Installs a gateway once, and runs it: its files written, its port free, its last lines kept for messages."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from parity.gateways.profile import Profile, filled
from parity.support.files import cache_folder
from proxies.support.redact import redact_text

INSTALL_PATIENCE = 600.0
STOP_PATIENCE = 10.0
LINES = 30
DONE = "installed"


class GatewayError(Exception):
    """Reports that a gateway can't be installed or started; the message ends with its last output."""


def install(profile: Profile, say: Callable[[str], None]) -> Path:
    """Install what the profile asks for, unless it is there already; the folder. Raises `GatewayError`."""
    wanted = profile.install
    if (there := installed(profile)) is not None:
        return there
    home = _home(profile)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    say(f"installing {profile.title} {profile.shown_version}")
    if wanted.npm:
        options = ["--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(home)]
        _run([_program("npm"), "install", *options, *wanted.npm], home)
    if wanted.pip:
        _run([sys.executable, "-m", "venv", str(home)], home)
        _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted.pip], home)
    if wanted.apt:
        _run(
            [_program("apt-get"), "download", *wanted.apt],
            home,
            "`apt-get update` reads which versions there are",
        )
        for package in sorted(home.glob("*.deb")):
            _run([_program("dpkg"), "-x", str(package), str(home)], home)
    (home / DONE).touch()
    return home


def _home(profile: Profile) -> Path:
    return cache_folder().parent / "gateways" / f"{profile.name}-{profile.shown_version}"


def installed(profile: Profile) -> Path | None:
    """Return the folder that a gateway is installed in; None where it isn't."""
    wanted = profile.install
    if not (wanted.npm or wanted.pip or wanted.apt):
        return Path(sys.prefix)
    home = _home(profile)
    return home if (home / DONE).exists() else None


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise GatewayError(
            f"{name} is missing, which installs this gateway: install it, or judge another one"
        )
    return found


def _run(command: list[str], folder: Path, advice: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603  # a registry's own client, with a profile's packages
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GatewayError(f"{' '.join(command[:3])} … didn't work: {error}") from None
    if done.returncode:
        said = redact_text("\n  ".join((done.stdout + done.stderr).strip().splitlines()[-8:]))
        raise GatewayError(
            f"{' '.join(command[:3])} … ended with exit code {done.returncode}; it said:\n  {said}\n{advice}".rstrip()
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextlib.contextmanager
def running(profile: Profile, home: Path, values: Mapping[str, Any]) -> Iterator[str]:
    """Run a gateway while the context lasts; its base URL. Raises `GatewayError` where it doesn't start."""
    with started(profile, home, values) as gateway:
        yield gateway.url


@dataclass(frozen=True)
class Started:
    """Holds a gateway that runs: its base URL, its first process, and the seconds until it was ready."""

    url: str
    pid: int
    seconds: float


@contextlib.contextmanager
def started(profile: Profile, home: Path, values: Mapping[str, Any]) -> Iterator[Started]:
    """Run a gateway while the context lasts. Raises `GatewayError` where it doesn't start."""
    port = free_port()
    with TemporaryDirectory(prefix="parity-gateway-") as name:
        folder = Path(name)
        known = {**values, "port": port, "home": str(home), "folder": name, "python": sys.executable}
        for file, text in profile.files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(filled(text, known), encoding="utf-8")
        begin = time.monotonic()
        process = _Process(
            [filled(word, known) for word in profile.start],
            folder,
            {key: filled(text, known) for key, text in profile.environment.items()},
        )
        try:
            process.wait_ready(f"http://127.0.0.1:{port}{profile.ready}", profile)
            yield Started(f"http://127.0.0.1:{port}", process.pid, time.monotonic() - begin)
        finally:
            process.stop()


class _Process:
    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._lines: deque[str] = deque(maxlen=LINES)
        try:
            self._process = subprocess.Popen(  # noqa: S603  # what a profile starts is the user's choice
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **environment},
                start_new_session=True,
            )
        except OSError as error:
            raise GatewayError(f"{command[0]} can't be started: {error.strerror}") from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            self._lines.extend(line.rstrip() for line in stream)

    def wait_ready(self, url: str, profile: Profile) -> None:
        until = time.monotonic() + profile.patience
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url, trust_env=False, timeout=5).status_code < 500:
                    return
            if self._process.poll() is not None:
                raise GatewayError(
                    self._sentence(profile, f"ended with exit code {self._process.returncode}")
                )
            if time.monotonic() > until:
                raise GatewayError(self._sentence(profile, f"wasn't ready within {profile.patience:g} s"))
            time.sleep(0.05)

    def _sentence(self, profile: Profile, what: str) -> str:
        self._reader.join(1 if self._process.poll() is not None else 0)
        said = redact_text("\n  ".join(self._lines))
        return f"{profile.title} {what}; it said:\n  {said}"

    def stop(self) -> None:
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(STOP_PATIENCE)

"""Starts, warms and stops the external LiteLLM process that the binary architecture forwards to.

ProxyConfig ──write_config──> private copy ──> `litellm --config …` on 127.0.0.1, a free port
                                                  │ polled until alive, warmed; `ended` waits for its end
                                                  └─ stopped with its whole process group

`supervisor.py` keeps one running.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import httpx

from proxies.binary.config import KEY_VARIABLE, reports, warm_up_models, write_config
from proxies.binary.inside import variables, write_for_others
from proxies.config.models import ProxyConfig
from proxies.support.litellm_environment import LOCAL
from proxies.support.redact import forget_secret, redact_text, register_secret

logger = logging.getLogger(__name__)

_ENVIRONMENT = {
    **LOCAL,
    "NO_DOCS": "True",
    "DISABLE_ADMIN_UI": "True",
    "DEFAULT_MAX_RETRIES": "0",  # for embeddings, where LiteLLM takes `max_retries: 0` as nothing said
}
_ATTEMPTS = 3
_POLL_SECONDS = 0.1
_STOP_SECONDS = 5.0
_LINES_KEPT = 40
_LINES_TOLD = 15
# A thread that cleans up and ends the process group when our end of its stdin is gone: the kernel closes it
# however we die, so that not even SIGKILL leaves an orphan.
_END_WITH_PARENT = """
import os, shutil, signal, sys, threading
def end_with_parent():
    while os.read(0, 4096):
        pass
    shutil.rmtree(os.path.dirname(sys.argv[sys.argv.index("--config") + 1]), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end_with_parent, daemon=True).start()
"""
_BOOT = f"""{_END_WITH_PARENT}
from proxies.support.garbage import hold_off
hold_off()
from proxies.binary.inside import prepare
prepare()
from proxies.binary.easing import ease
ease()
from litellm import run_server
sys.argv[0] = "litellm"
sys.exit(run_server())
"""
# One that another environment has installed; SIGTERM reaches it, too, and it is waited for.
_BOOT_SCRIPT = f"""{_END_WITH_PARENT}
import subprocess
signal.signal(signal.SIGTERM, lambda *_: None)
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.exit(code if code >= 0 else 128 - code)
"""


def with_last_lines(what: str, lines: Sequence[str]) -> str:
    """A text of `what` happened, and below it what the process said last."""
    return "\n".join([f"{what}; its last lines:", *(f"  {line}" for line in lines)]) if lines else what


class LiteLLMProcessError(RuntimeError):
    """The LiteLLM process can't be started: `what` happened, and its last `lines`, redacted. The text has both."""

    def __init__(self, what: str, lines: Sequence[str] = ()) -> None:
        super().__init__(with_last_lines(what, lines))
        self.what = what
        self.lines = tuple(lines)


class LiteLLMProcess:
    """An async context manager: inside, a warm LiteLLM answers at `url` to `key`.

    `deadline` is in seconds, for start and warm-up together. `start` raises `LiteLLMProcessError`.
    """

    def __init__(self, config: ProxyConfig, *, deadline: float = 60.0) -> None:
        self._config = config
        self._deadline = deadline
        self.key = f"sk-{secrets.token_hex(24)}"
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None
        self._killed_because = ""
        self._directory: Path | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end; only after `start`."""
        if not self._port:
            raise LiteLLMProcessError("the LiteLLM process has not been started")
        return f"http://127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        """Whether the process runs; false before `start`, after `stop`, and when it died."""
        return self._process is not None and self._process.returncode is None

    @property
    def reason(self) -> str:
        """Why it isn't alive, in a few words; empty while it is."""
        if self._process is None:
            return "the LiteLLM process has not been started"
        code = self._process.returncode
        if code is None:
            return ""
        if self._killed_because:
            return f"the LiteLLM process was killed: {self._killed_because}"
        if code < 0:
            return f"the LiteLLM process was ended by {_name(-code)}"
        return f"the LiteLLM process ended with exit code {code}"

    @property
    def last_lines(self) -> list[str]:
        """Return its last lines, redacted; also after its end."""
        return list(self._lines)[-_LINES_TOLD:]

    async def __aenter__(self) -> LiteLLMProcess:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when it is warm; on any failure nothing is left behind."""
        if self.alive:
            raise LiteLLMProcessError("the LiteLLM process has been started already")
        command = find_command()
        register_secret(self.key)
        try:
            async with asyncio.timeout(self._deadline):
                await self._start(command)
        except TimeoutError:
            await self.stop()
            raise self._failure(f"the LiteLLM process was not ready within {self._deadline:g} s") from None
        except BaseException:
            await self.stop()
            raise

    async def answers_within(self, seconds: float) -> bool:
        """Whether it says that it lives, whatever else it does."""
        # Over plain HTTP: reading certificates would only hold up the event loop.
        async with httpx.AsyncClient(
            base_url=self.url,
            trust_env=False,
            timeout=seconds,
            verify=False,  # noqa: S501
        ) as client:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get("/health/liveliness")).is_success
        return False

    def kill(self, because: str) -> None:
        """At once, with all that it started; `reason` says `because` from then on."""
        if self.alive:
            self._killed_because = because
            self._signal(signal.SIGKILL)

    async def ended(self) -> None:
        """Waits until it has ended, however it did; at once when it was never started."""
        if self._process is not None:
            await self._process.wait()
            await self._settle()

    async def stop(self) -> None:
        """Ends the whole process group, gently first, and removes the private copy. Idempotent."""
        process = self._process
        if process is not None and process.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await process.wait()
            self._signal(signal.SIGKILL)  # whom it may have started and left behind
        if process is not None and process.stdin is not None:
            process.stdin.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        atexit.unregister(self._clean_up)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        forget_secret(self.key)

    async def _start(self, command: list[str]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="memory-proxy-"))
        atexit.register(self._clean_up)
        with _refusing_port() as refusing:
            await self._start_warm(command, write_config(self._config, self._directory, refusing))
        logger.info("the LiteLLM process is ready at %s", self.url)

    async def _start_warm(self, command: list[str], path: Path) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            await self._launch(command, path)
            if await self._answers():
                break
            # Between choosing a port and LiteLLM binding it lie seconds, so another may have taken it.
            taken = any("address already in use" in line.lower() for line in self._lines)
            if not taken or attempt == _ATTEMPTS:
                raise self._failure(self.reason)
            logger.info("port %d was taken meanwhile; trying another", self._port)
        if not reports(self._config):
            try:
                await self._warm_up()
            except httpx.HTTPError as error:
                # That it has ended is heard of a moment after that a connection has.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ended(), 1.0)
                raise self._failure(self.reason or f"{self.url} does not answer: {error!r}") from None

    async def _launch(self, command: list[str], path: Path) -> None:
        self._port = _free_port()
        self._lines.clear()
        self._killed_because = ""
        environment = {
            **_ENVIRONMENT,
            **os.environ,
            **variables(self._config.limits.answers),
            KEY_VARIABLE: self.key,
            "PYTHONUNBUFFERED": "1",
        }
        if _BOOT_SCRIPT in command and self._directory is not None:
            places = [str(write_for_others(self._directory)), os.environ.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        options = {
            "--config": str(path),
            "--host": "127.0.0.1",
            "--port": str(self._port),
            "--num_workers": "1",
            "--telemetry": "False",
            # Longer than any client keeps an idle connection, or it would be closed while being reused.
            "--keepalive_timeout": "75",
        }
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *(word for option in options.items() for word in option),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        reader = asyncio.create_task(self._read_output(self._process))
        self._tasks += [reader, asyncio.create_task(self._watch(self._process, reader))]

    async def _answers(self) -> bool:
        """Waits until it answers (true) or has ended (false)."""
        while self.alive:
            if await self.answers_within(5.0) and self.alive:
                return True
            await asyncio.sleep(_POLL_SECONDS)
        await self._settle()
        return False

    async def _warm_up(self) -> None:
        """Lets the first calls, slow by 0.7 s, fail at a port where nobody listens; no provider is called."""
        headers = {"authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(
            base_url=self.url, trust_env=False, headers=headers, timeout=self._deadline
        ) as client:
            # Also proves that who answers is ours: another process on this port doesn't know the key.
            known = await client.get("/v1/models")
            if known.status_code != 200:
                raise self._failure(f"{self.url} answers {known.status_code} to its own key")
            for name in warm_up_models(0):
                message = {"role": "user", "content": "warm up"}
                await client.post("/v1/chat/completions", json={"model": name, "messages": [message]})

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._keep(line)
        self._keep(rest)

    def _keep(self, line: bytes) -> None:
        text = redact_text(line.decode(errors="replace").rstrip())
        if text:
            self._lines.append(text)
            logger.debug("litellm: %s", text)

    async def _watch(self, process: asyncio.subprocess.Process, reader: asyncio.Task[None]) -> None:
        await process.wait()
        # At once: later the number of the group may be another's.
        self._signal(signal.SIGKILL)
        await asyncio.wait([reader], timeout=1.0)

    async def _settle(self) -> None:
        """Lets the last lines of one that has ended be read."""
        if not self.alive:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _failure(self, what: str) -> LiteLLMProcessError:
        return LiteLLMProcessError(what, self.last_lines)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            # Its own session, so its pid names the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _clean_up(self) -> None:
        """At interpreter exit, when nobody awaited `stop`."""
        if self.alive:
            self._signal(signal.SIGKILL)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def find_command() -> list[str]:
    """The words that start LiteLLM. Raises `LiteLLMProcessError` when it isn't installed."""
    if importlib.util.find_spec("litellm") is not None:
        return [sys.executable, "-c", _BOOT]
    script = shutil.which("litellm")
    if script:
        return [sys.executable, "-c", _BOOT_SCRIPT, script]
    raise LiteLLMProcessError(
        "LiteLLM is not installed: pip install 'proxy-parity[live]', or name a running one with --litellm-url"
    )


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextlib.contextmanager
def _refusing_port() -> Iterator[int]:
    """A port that refuses connections: taken, so that nobody else can listen there, and not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])

"""Serves applications with several processes on one address. This one starts them and watches them, and serves nothing.

    bind ── fork ── each worker: `serving.serve` ── all of them answer: announce ── watch
    a worker ends by itself  its part of the counts is taken out, and another one takes its place; after that with waits
                             that double while they keep ending
    SIGTERM or SIGINT        each worker is told, a second one, too; returning means that all have stopped
    this process ends        the workers stop: each reads from a pipe that nobody writes to, and the kernel closes it

All accept from one listening socket, so what waits there when a worker is killed is answered by the others.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from proxies.front.observing.together import forget
from proxies.server import serving
from proxies.server.serving import Crash, Service, SetUpError
from proxies.shared import Shared
from proxies.support.backoff import Backoff
from proxies.support.redact import redact_text

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 20.0
"""Seconds beyond the grace within which a worker stops, or is killed."""

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def shared_by(workers: int) -> Iterator[Shared]:
    """Give what so many workers share, with a folder that goes again. Raises `SetUpError` where nothing can fork."""
    if workers == 1:
        yield Shared()
        return
    if not hasattr(os, "fork"):
        raise SetUpError("--workers: this system can't fork; serve with one, and several behind a balancer")
    folder = Path(tempfile.mkdtemp(prefix="memory-proxy-workers-"))  # for its owner alone
    owner = os.getpid()
    try:
        yield Shared(workers, folder)
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def serve(
    services: Sequence[Service],
    shared: Shared,
    *,
    grace: float = serving.GRACE,
    announce: Callable[[], None] = lambda: None,
    in_first: Callable[[], None] = lambda: None,
    forked: Callable[[], None] = lambda: None,
    backoff: Backoff | None = None,
) -> None:
    """Block until all workers have been stopped by a signal, as `serving.serve` does, which each of them calls.

    `announce` is called here once all of them answer; `in_first` in the first one, in its event loop, once it does;
    `forked` here once all are on their way, since what has threads can't be forked.
    """
    if shared.workers == 1:
        forked()

        def both() -> None:
            announce()
            in_first()

        serving.serve(services, grace=grace, announce=both)
        return
    with contextlib.ExitStack() as closing:
        for service in services:
            closing.callback(service.sock.close)
        _Workers(services, shared, grace, announce, in_first, backoff or Backoff()).run(forked)


@dataclass
class _Worker:
    """One process, and the end of the pipe on which it says how it is."""

    index: int
    pid: int
    says: int
    since: float
    up: bool = False
    said: dict[str, Any] | None = None


class _Workers:
    def __init__(
        self,
        services: Sequence[Service],
        shared: Shared,
        grace: float,
        announce: Callable[[], None],
        in_first: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        self._services = services
        self._shared = shared
        self._grace = grace
        self._announce: Callable[[], None] | None = announce
        self._in_first = in_first
        self._backoff = backoff
        self._living: dict[int, _Worker] = {}
        self._failures = [0] * shared.workers
        self._due: dict[int, float] = {}
        """When the place of a worker that has ended is to be filled again."""
        self._stopping: float | None = None
        """When those that haven't stopped until then are killed."""
        self._failed: click.ClickException | None = None
        self._life, self._hold = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = socket.socketpair()

    def run(self, forked: Callable[[], None]) -> None:
        self._woken.setblocking(False)
        self._wakes.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        with self._handled_signals():
            try:
                for index in range(self._shared.workers):
                    self._start(index)
                forked()
                while self._living or (self._due and self._stopping is None):
                    self._step()
            finally:
                for worker in self._living.values():
                    self._tell(worker, signal.SIGKILL)
                self._selector.close()
                for end in (self._woken, self._wakes):
                    end.close()
                for descriptor in (self._life, self._hold):
                    os.close(descriptor)
        if self._failed is not None:
            raise self._failed

    def _step(self) -> None:
        """Wait for the next thing that happens, and see to it."""
        now = time.monotonic()
        for index, due in tuple(self._due.items()):
            if now >= due and self._stopping is None:
                del self._due[index]
                self._start(index)
        waits = [*self._due.values()] if self._stopping is None else [self._stopping]
        timeout = max(0.0, min(waits) - time.monotonic()) if waits else None
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._signalled(self._woken.recv(64))
            else:
                self._heard(key.data)
        if self._stopping is not None and time.monotonic() >= self._stopping:
            for worker in self._living.values():
                _log.warning("stopping: worker %d did not end, and is killed", worker.index + 1)
                self._tell(worker, signal.SIGKILL)
            self._stopping += _PATIENCE

    def _start(self, index: int) -> None:
        """Fork a worker. In it this doesn't return."""
        says, tells = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            # Of its own group: Ctrl+C reaches this process's alone, which tells the workers.
            os.setpgid(0, 0)
            self._selector.close()
            for descriptor in (says, self._hold, *(worker.says for worker in self._living.values())):
                os.close(descriptor)
            for end in (self._woken, self._wakes):
                end.close()
            self._work(index, tells)
        os.close(tells)
        self._shared.pids.put(index, pid)
        worker = _Worker(index, pid, says, time.monotonic())
        self._living[index] = worker
        self._selector.register(says, selectors.EVENT_READ, worker)

    def _work(self, index: int, tells: int) -> NoReturn:
        """Be a worker, to the end of the process."""
        code = 0
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            self._shared.index = index
            threading.Thread(target=_end_with_parent, args=(self._life,), daemon=True).start()

            def up() -> None:
                _say(tells, {"up": True})
                if index == 0 and not self._failures[index]:
                    self._in_first()

            serving.serve(self._services, grace=self._grace, announce=up)
        except click.ClickException as error:
            code = error.exit_code
            _say(tells, {"failed": error.format_message(), "code": code})
        except BaseException as error:
            code = 1
            _log.exception("worker %d", index + 1)
            _say(tells, {"failed": redact_text(repr(error)), "code": code})
        finally:
            logging.shutdown()
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            # Nothing of what the parent would do at its end, such as giving locks back, is a worker's to do.
            os._exit(code)

    def _heard(self, worker: _Worker) -> None:
        """Read what a worker says; that it says no more means that it has ended."""
        said = os.read(worker.says, 65536)
        if not said:
            self._ended(worker)
            return
        for line in said.decode(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if "up" in message:
                    worker.up = True
                else:
                    worker.said = message
        if self._announce is not None and all(w.up for w in self._living.values()) and not self._due:
            announce, self._announce = self._announce, None
            announce()

    def _ended(self, worker: _Worker) -> None:
        self._selector.unregister(worker.says)
        os.close(worker.says)
        _, status = os.waitpid(worker.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        del self._living[worker.index]
        self._shared.forget(worker.index)
        forget(self._shared, worker.pid)
        if self._stopping is not None:
            return
        if self._announce is not None:  # not even the first start succeeded
            self._failed = self._why(worker, code)
            self._stop()
            return
        if time.monotonic() - worker.since >= self._backoff.healthy:
            self._failures[worker.index] = 0
        # The first time at once: the others have its requests meanwhile.
        delay = self._backoff.delay(self._failures[worker.index] - 1) if self._failures[worker.index] else 0.0
        self._failures[worker.index] += 1
        self._due[worker.index] = time.monotonic() + delay
        _log.error("%s; another one starts in %.1f s", self._how(worker, code), delay)

    def _why(self, worker: _Worker, code: int) -> click.ClickException:
        if worker.said is None:
            return Crash(self._how(worker, code))
        kind = SetUpError if worker.said.get("code") == SetUpError.exit_code else Crash
        return kind(str(worker.said.get("failed")))

    @staticmethod
    def _how(worker: _Worker, code: int) -> str:
        end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        said = f": {worker.said['failed']}" if worker.said else ""
        return f"worker {worker.index + 1} (process {worker.pid}) {end}{said}"

    def _signalled(self, numbers: bytes) -> None:
        if any(number in _SIGNALS for number in numbers):
            self._stop()

    def _stop(self) -> None:
        """Tell all workers to stop; the second time they hurry."""
        if self._stopping is None:
            self._stopping = time.monotonic() + self._grace + _PATIENCE
            for service in self._services:
                service.sock.close()  # or the kernel would go on letting clients in, for nobody
        for worker in self._living.values():
            self._tell(worker, signal.SIGTERM)

    def _tell(self, worker: _Worker, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, number)

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        woken = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)


def _say(descriptor: int, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps(message).encode() + b"\n")


def _end_with_parent(life: int) -> None:
    """Stop this worker when the process that started it has gone, however it went."""
    while os.read(life, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)

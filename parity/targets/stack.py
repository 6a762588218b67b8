"""Runs the live tier's stack: both proxies as processes of their own, the stub provider behind them.

    stub provider (thread) <── LiteLLM process <── memory-proxy binary
                           <────────────────────── memory-proxy sdk

One stack serves a whole run, under xdist too: its description is plain data that workers are handed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from parity.catalogue.scenario import Scenario
from parity.provider.server import refused_url, serve_in_thread
from parity.targets.arms import Arm
from parity.targets.deployments import QUICK_RETRIES, config_document
from parity.targets.target import LiveTarget
from proxies.support.redact import redact_text

START_DEADLINE = 120.0
STOP_DEADLINE = 20.0
RESTARTS = "memory_proxy_litellm_restarts"
"""The metric of a proxy that counts the restarts of its LiteLLM process."""
LISTENING = re.compile(r"listening on (http://\S+)")


class StackError(Exception):
    """Reports that a process of the stack did not start; the message ends with its last output."""


@dataclass(frozen=True)
class Stack:
    """Holds the addresses of the stack. `dump` and `load` carry it to other processes."""

    urls: dict[str, str]
    key: str
    provider_url: str

    def target(self, arm: Arm) -> LiveTarget:
        return LiveTarget(arm, self.urls[arm], self.key, self.provider_url)

    def gaps(self) -> list[str]:
        """Say of each proxy that served with a gap, or serves no longer, what it was; a sentence each, for people."""
        found = []
        for arm, url in self.urls.items():
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                found.append(gap(arm, client))
        return [sentence for sentence in found if sentence]

    def dump(self) -> str:
        return json.dumps({"urls": self.urls, "key": self.key, "provider_url": self.provider_url})

    @classmethod
    def load(cls, text: str) -> Stack:
        return cls(**json.loads(text))


class ProxyProcess:
    """Runs one `memory-proxy` command with `options`. The last lines of its output are kept for the error message."""

    def __init__(self, arm: str, config: Path, *options: str) -> None:
        self.arm = arm
        self._lines: deque[str] = deque(maxlen=40)
        self._listening = threading.Event()
        self._url: str | None = None
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "proxies", arm, "--config", str(config), "--port", "0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **QUICK_RETRIES, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                self._lines.append(line.rstrip())
                if found := LISTENING.search(line):
                    self._url = found[1]
                    self._listening.set()
        self._listening.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_listening(self, deadline: float) -> str:
        """Return its base URL. Raises `StackError` when it ends or the deadline (`time.monotonic`) passes
        first.
        """
        self._listening.wait(max(0.0, deadline - time.monotonic()))
        if self._url is None:
            state = self._exit_code()
            what = "did not listen in time" if state is None else f"ended with exit code {state}"
            said = redact_text("\n  ".join(self._lines))
            raise StackError(f"memory-proxy {self.arm} {what}; it said:\n  {said}")
        return self._url

    def _exit_code(self) -> int | None:
        """Return None while it runs. One that has closed its stderr is about to end, and is waited for."""
        try:
            return self._process.wait(STOP_DEADLINE if self._listening.is_set() else 0)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._reader.join(STOP_DEADLINE)


def gap(arm: str, client: httpx.Client) -> str:
    """Return what kept a proxy from serving during a run, or keeps it at its end, as a sentence; empty for nothing."""
    try:
        ready = client.get("/health/readiness")
        metrics = client.get("/metrics").text
    except httpx.HTTPError as error:
        return f"memory-proxy {arm} no longer answers at the end of the run: {type(error).__name__}"
    if ready.status_code != 200:
        return f"memory-proxy {arm} isn't ready at the end of the run: {redact_text(ready.text)}"
    families = text_string_to_metric_families(metrics)
    restarts = {sample.name: int(sample.value) for family in families for sample in family.samples}[RESTARTS]
    if not restarts:
        return ""
    return (
        f"memory-proxy {arm} started its LiteLLM process again during the run ({restarts}x): what was played meanwhile "
        "says nothing of the proxies; play it again, where the machine is less busy"
    )


@contextlib.contextmanager
def started(
    documents: Mapping[Arm, Mapping[str, Any]], *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[dict[Arm, str]]:
    """Start a proxy for each configuration, yield their addresses, stop them at the end. Raises `StackError`."""
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="parity-")))
        processes: dict[Arm, ProxyProcess] = {}
        for arm, document in documents.items():
            config = folder / f"{arm}.yaml"
            config.touch(mode=0o600)
            config.write_text(json.dumps(document))  # JSON is YAML
            progress(f"starting memory-proxy {arm}")
            processes[arm] = ProxyProcess(arm, config)
            closing.callback(processes[arm].stop)
        deadline = time.monotonic() + START_DEADLINE
        yield {arm: process.wait_listening(deadline) for arm, process in processes.items()}


@contextlib.contextmanager
def serve(
    scenarios: Iterable[Scenario], arms: Sequence[Arm], *, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Stack]:
    """Start the stack, stop it at the end. Raises `StackError`."""
    served = list(scenarios)
    key = new_key()
    with contextlib.ExitStack() as closing:
        provider = closing.enter_context(serve_in_thread(served))
        refused = closing.enter_context(refused_url())
        documents = {
            arm: config_document(served, arm, master_key=key, provider_url=provider.url, refused_url=refused)
            for arm in arms
        }
        urls = closing.enter_context(started(documents, progress=progress))
        progress("the live stack is up")
        yield Stack({str(arm): url for arm, url in urls.items()}, key, provider.url)


def new_key() -> str:
    """Return a master key that nobody can guess."""
    return f"sk-parity-{secrets.token_hex(16)}"

"""Starts a proxy in front of a stub provider that answers at once, and reads what its processes hold."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from parity.catalogue import loading
from parity.provider.server import refused_url, serve_in_thread
from parity.targets.arms import Arm
from parity.targets.deployments import config_document
from parity.targets.stack import START_DEADLINE, ProxyProcess

KEY = "sk-parity-measure-0123456789abcdef"
SCENARIO = "chat.plain"
READABLE = Path("/proc/self/statm").exists()
"""Whether what processes hold can be read here: as Linux tells it."""


@dataclass(frozen=True)
class Started:
    """Holds a running proxy, and how long it took until it answered a chat."""

    process: ProxyProcess
    url: str
    model: str
    seconds: float

    def client(self, timeout: float = 60.0, connections: int = 100) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {KEY}"},
            timeout=timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections),
        )

    def body(self) -> dict[str, object]:
        return {"model": self.model, "messages": [{"role": "user", "content": "Hello?"}]}

    def chat(self, to: httpx.Client) -> bool:
        """Ask once; return whether a whole answer came."""
        try:
            answer = to.post("/v1/chat/completions", json=self.body())
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and bool(answer.json()["choices"])


@contextlib.contextmanager
def started(arm: Arm) -> Iterator[Started]:
    """Start one architecture, yield it when it has answered a chat, stop it. Raises `StackError`."""
    scenario = loading.Catalogue.load((loading.BUILT_IN / "chat/plain.yaml",))[SCENARIO]
    with contextlib.ExitStack() as closing:
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="parity-")))
        provider = closing.enter_context(serve_in_thread([scenario]))
        refused = closing.enter_context(refused_url())
        document = config_document(
            [scenario], arm, master_key=KEY, provider_url=provider.url, refused_url=refused
        )
        config = folder / f"{arm}.yaml"
        config.touch(mode=0o600)
        config.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
        began = time.monotonic()
        process = ProxyProcess(arm, config)
        closing.callback(process.stop)
        url = process.wait_listening(began + START_DEADLINE)
        waiting = Started(process, url, scenario.alias, 0.0)
        with waiting.client() as to:
            while not waiting.chat(to) and time.monotonic() < began + START_DEADLINE:
                time.sleep(0.05)
        yield Started(process, url, scenario.alias, time.monotonic() - began)


def family(pid: int) -> list[int]:
    """Return a process and its descendants; without what has ended meanwhile."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def resident(pid: int) -> float | None:
    """Return the memory of a process and its descendants in MB; None where that can't be read."""
    if not READABLE:
        return None
    pages = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{one}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process and its descendants; None where that can't be read."""
    if not READABLE:
        return None
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")

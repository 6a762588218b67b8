"""Measures proxies that run: how they start, what faults they survive, what they hold under steady load."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles

import httpx

from parity.measuring.model import Fault, Faults, Soak, Soaked, Start, Starts
from parity.measuring.processes import Started, cpu_seconds, family, resident, started
from parity.targets.arms import ARMS, Arm

FAULTS = {
    "killed": signal.SIGKILL,
    "hung": signal.SIGSTOP,
    "upgraded": signal.SIGTERM,
}
"""The signals that the process gets in which LiteLLM runs: an upgrade ends it in good order."""
ROUTES = (
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/batches",
    "/v1/completions",
    "/v1/files",
    "/v1/images/generations",
    "/v1/moderations",
    "/v1/rerank",
)
"""The routes of LiteLLM's that are asked for beside those that both proxies have."""
FAULT_DEADLINE = 60.0
PATIENCE = 5.0
"""The seconds that an answer may take while something is wrong."""


def starts(times: int, say: Callable[[str], None]) -> Starts:
    """Start each architecture so many times, in turn."""
    seen: dict[Arm, list[tuple[float, int, float | None]]] = {arm: [] for arm in ARMS}
    routes: dict[Arm, list[str]] = {}
    for number in range(times):
        for arm in ARMS:
            say(f"cold start {number + 1} of {times}, {arm}")
            with started(arm) as one:
                pid = one.process.pid
                seen[arm].append((round(one.seconds, 2), len(family(pid)), resident(pid)))
                if arm not in routes:
                    routes[arm] = [route for route in ROUTES if _known(one, route)]
    return Starts(
        asked=list(ROUTES),
        arms={
            arm: Start(
                cold_start_s=[s for s, _, _ in each],
                processes=max(n for _, n, _ in each),
                memory_mb=median(known) if (known := [mb for _, _, mb in each if mb is not None]) else None,
                routes=routes[arm],
            )
            for arm, each in seen.items()
        },
    )


def _known(one: Started, route: str) -> bool:
    """Return whether a route is known: any answer but 404 `unsupported_route`, be it a refusal of this body."""
    with one.client() as to:
        answer = to.post(route, json={"model": one.model})
    return answer.status_code != 404 or "unsupported_route" not in answer.text


def faults(say: Callable[[str], None], deadline: float = FAULT_DEADLINE) -> Faults:
    """Kill, stop and end the process that LiteLLM runs in, each in a proxy of its own."""
    seen: dict[str, list[Fault]] = {}
    for arm in ARMS:
        for name, number in FAULTS.items():
            say(f"LiteLLM {name}, {arm}")
            with started(arm) as one:
                seen.setdefault(arm, []).append(_fault(one, name, number, deadline))
    return Faults(deadline_s=deadline, arms=seen)


def _fault(one: Started, name: str, number: signal.Signals, deadline: float) -> Fault:
    whole = family(one.process.pid)
    hurt = whole[-1]  # LiteLLM's process where it has one of its own, else the proxy's
    os.kill(hurt, number)
    began = time.monotonic()
    answered, back = True, None
    with one.client(PATIENCE) as to:
        while back is None and answered and time.monotonic() < began + deadline:
            answered = _answers(to)
            if one.chat(to):
                back = round(time.monotonic() - began, 1)
            else:
                time.sleep(0.1)
    if number == signal.SIGSTOP and back is None:
        _resume(hurt)
    return Fault(name=name, survived=answered and back is not None, seconds=back, answered=answered)


def _answers(to: httpx.Client) -> bool:
    try:
        return to.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


def _resume(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def soak(seconds: float, connections: int, say: Callable[[str], None]) -> Soak:
    """Ask each architecture one small chat after the other, over so many connections."""
    seen = {}
    for arm in ARMS:
        say(f"soak, {arm}, {seconds:g} s")
        with started(arm) as one:
            seen[arm] = _soaked(one, seconds, connections)
    return Soak(connections=connections, arms=seen)


def _soaked(one: Started, seconds: float, connections: int) -> Soaked:
    pid = one.process.pid
    times: list[float] = []
    wrong: list[int] = []
    began = time.monotonic()
    cpu = cpu_seconds(pid)

    def ask() -> None:
        with one.client() as to:
            while time.monotonic() < began + seconds:
                asked = time.perf_counter()
                if one.chat(to):
                    times.append(1000 * (time.perf_counter() - asked))
                else:
                    wrong.append(1)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        if (held := resident(pid)) is not None:
            memory.append((round(time.monotonic() - began, 1), held))
        threads[0].join(max(0.5, seconds / 120))
    for thread in threads:
        thread.join()
    used, after = None, cpu_seconds(pid)
    if cpu is not None and after is not None and times:
        used = round(1000 * (after - cpu) / (len(times) + len(wrong)), 2)
    return Soaked(
        seconds=seconds,
        requests=len(times) + len(wrong),
        wrong=len(wrong),
        cpu_ms=used,
        p50_ms=round(_percentile(times, 50), 2),
        p99_ms=round(_percentile(times, 99), 2),
        memory=memory,
    )


def _percentile(times: Sequence[float], percent: int) -> float:
    return quantiles(times, n=100)[percent - 1] if len(times) > 1 else (times or [float("nan")])[0]

"""Several processes on one address, as real processes: what one that is killed takes with it, and what goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from proxies.errors import ProxyError
from proxies.front.places import Places
from proxies.server.room import Room
from proxies.server.serving import SetUpError
from proxies.server.workers import shared_by
from proxies.shared import Shared
from tests.processes import gone
from tests.proxies.server.running import HEADERS, PLAIN, Running, refused, until

pytestmark = [pytest.mark.unmeasured, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]


def ask(url: str, path: str = "/") -> int:
    """Ask on a connection of its own which process answers."""
    return int(httpx.get(url + path, trust_env=False, verify=False, timeout=20).text)


def both(url: str) -> set[int]:
    """Ask until two processes have answered."""
    seen: set[int] = set()
    until(lambda: len(seen.add(ask(url)) or seen) == 2)  # type: ignore[func-returns-value]
    return seen


def test_all_serve_one_address_and_stop_together(run: Callable[..., Running]) -> None:
    """Each answers; a stream under way may end after the signal, and nothing is left of any of them. Exit code 0."""
    running = run("who", "--grace", "20", "--workers", "2")
    url = running.line()
    workers = both(url)
    assert running.process.pid not in workers
    waiting = threading.Thread(target=ask, args=(url, "/wait"))
    waiting.start()
    until(lambda: waiting_in(running) == 1)
    running.signal()
    until(lambda: refused(url))
    running.go.touch()
    waiting.join(20)
    assert running.end() == (0, "", "")
    assert all(map(gone, workers))


def waiting_in(running: Running) -> int:
    """How many requests wait for the file, in all workers."""
    return len(list(running.go.parent.glob("waiting-*")))


def test_one_that_is_killed_loses_its_own_requests_alone(run: Callable[..., Running]) -> None:
    """Those of the other are answered, everybody new is, and another one takes its place."""
    running = run("who", "--grace", "20", "--workers", "2")
    url = running.line()
    workers = both(url)
    answers: list[int | None] = []

    def wait() -> None:
        try:
            answers.append(ask(url, "/wait"))
        except httpx.TransportError:
            answers.append(None)

    waiting = [threading.Thread(target=wait) for _ in range(8)]
    for thread in waiting:
        thread.start()
    until(lambda: waiting_in(running) == 8)
    killed, left = workers
    os.kill(killed, signal.SIGKILL)
    until(lambda: gone(killed))
    assert {ask(url) for _ in range(20)} <= {left, *both_with(url, left)}
    running.go.touch()
    for thread in waiting:
        thread.join(20)
    assert set(answers) <= {left, None}
    running.signal()
    code, _, err = running.end()
    assert code == 0
    assert err.count(f"(process {killed}) was ended by SIGKILL; another one starts in 0.0 s") == 1


def both_with(url: str, left: int) -> set[int]:
    """Ask until another process than the one that is left has answered."""
    seen: set[int] = set()
    until(lambda: len(seen.add(ask(url)) or seen - {left}) == 1)  # type: ignore[func-returns-value]
    return seen


def test_no_worker_outlives_its_parent(run: Callable[..., Running]) -> None:
    """However it ends: what would stop them is what the kernel does."""
    running = run("who", "--grace", "1", "--workers", "2")
    workers = both(running.line())
    running.process.kill()
    until(lambda: all(map(gone, workers)))


def test_a_second_signal_hurries_all(run: Callable[..., Running]) -> None:
    running = run("who", "--grace", "600", "--workers", "2")
    url = running.line()
    cut: list[httpx.HTTPError] = []

    def wait() -> None:
        try:
            ask(url, "/wait")
        except httpx.HTTPError as error:
            cut.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: waiting_in(running) == 1)
    running.signal(signal.SIGINT)
    until(lambda: refused(url))
    running.signal(signal.SIGTERM)
    code, _, err = running.end()
    waiting.join(20)
    assert (code, len(cut)) == (0, 1)
    assert "stopping: 1 requests have not ended by themselves" in err


def test_a_start_that_fails_is_told_once(run: Callable[..., Running]) -> None:
    """As with one process: exit code 2 and the reason, redacted."""
    code, _, err = run("broken", "--grace", "1", "--workers", "3").end()
    assert code == 2
    assert err.count("memory-proxy broken could not start") == 1
    assert "hunter22" not in err


def test_one_that_keeps_ending_is_started_later_and_later(run: Callable[..., Running]) -> None:
    running = run("dying", "--grace", "1", "--workers", "2")
    running.line()
    said = []
    assert running.process.stderr is not None
    while len(said) < 6:
        said.append(float(running.process.stderr.readline().rpartition("starts in ")[2].removesuffix(" s\n")))
    running.signal()
    assert running.end()[0] == 0
    assert said.count(0.0) == 2
    assert max(said) >= 0.5


def test_metrics_are_those_of_all(run: Callable[..., Running]) -> None:
    """Whoever answers counts for all, and what one counted before it was killed is not lost."""
    running = run("steady", "--grace", "1", "--workers", "2")
    url = running.line()

    def shown() -> dict[str, float]:
        told = httpx.get(f"{url}/metrics", trust_env=False, verify=False).text
        rows = [line.rpartition(" ") for line in told.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    def models() -> float:
        return sum(value for name, value in shown().items() if _COUNTED in name and "/v1/models" in name)

    for _ in range(20):
        httpx.get(f"{url}/v1/models", headers=HEADERS, trust_env=False, verify=False)
    assert models() == 20
    before = shown()
    assert before["memory_proxy_workers"] == 2
    assert before["process_resident_memory_bytes"] > 40e6
    assert before["memory_proxy_tasks"] >= 4
    killed, *left = children(running)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len({*children(running)} - {killed, *left}) == 1)
    until(lambda: shown()["memory_proxy_workers"] == 2)
    assert models() == 20
    running.signal()
    assert running.end()[0] == 0


def children(running: Running) -> list[int]:
    """The processes that serve."""
    file = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    return [int(word) for word in file.read_text().split()]


_COUNTED = "memory_proxy_requests_total"


def test_who_is_killed_gives_its_places_back(run: Callable[..., Running]) -> None:
    """While one worker answers as many requests as may be, the other refuses; once it is killed, there is room."""
    running = run("narrow", "--grace", "1", "--workers", "2")
    url = running.line()

    def models() -> int:
        return httpx.get(f"{url}/v1/models", headers=HEADERS, trust_env=False, verify=False).status_code

    def ask() -> int:
        where = f"{url}/v1/chat/completions"
        return httpx.post(where, json=PLAIN, headers=HEADERS, trust_env=False, timeout=60).status_code

    def hang() -> None:
        with contextlib.suppress(httpx.HTTPError):
            while ask() == 503:  # the place was taken by a look at the models
                pass

    hanging = threading.Thread(target=hang)
    hanging.start()
    until(lambda: models() == 503)
    assert [models() for _ in range(10)] == [503] * 10  # whichever of them is asked
    for child in children(running):
        if hanging.is_alive():
            os.kill(child, signal.SIGKILL)
            hanging.join(2)
    assert not hanging.is_alive()
    until(lambda: models() == 200)
    running.signal()
    assert running.end()[0] == 0


def test_places_are_those_of_all_workers() -> None:
    """No worker takes one more than there are, and those of one that has ended are free again."""
    with shared_by(2) as shared:
        places = Places(3, shared.requests)
        for index in (0, 1, 0):
            shared.index = index
            places.take()
        shared.index = 1
        with pytest.raises(ProxyError):
            places.take()
        assert places.taken == 3
        shared.forget(0)
        assert places.taken == 1


def test_connections_are_those_of_all_workers() -> None:
    """A newcomer is let in at the cost of somebody idle of its own worker, or not at all."""

    class Guest:
        gone = False

        def give_way(self) -> None:
            self.gone = True

    with shared_by(2) as shared:
        count = shared.count()
        rooms = [Room(2, count), Room(2, count)]
        first, second, third = Guest(), Guest(), Guest()
        assert rooms[0].enter(first)
        assert rooms[0].enter(second)
        shared.index = 1
        assert not rooms[1].enter(third)
        shared.index = 0
        assert rooms[0].enter(third)
        assert first.gone
        assert count.total() == 2
        rooms[0].leave(third)
        rooms[0].leave(third)
        assert count.total() == 1


def test_files_of_workers_are_their_owners_and_go() -> None:
    with shared_by(2) as shared:
        folder = shared.folder
        assert folder is not None
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with shared_by(1) as alone:
        assert alone.folder is None


def test_where_nothing_can_be_forked_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SetUpError, match="--workers: this system can't fork"), shared_by(2):
        pass


def test_a_process_alone_shares_nothing() -> None:
    shared = Shared()
    assert shared.cookies is None
    assert shared.requests.each() == [0]

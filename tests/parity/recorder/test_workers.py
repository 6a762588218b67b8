"""Many scenarios are recorded at once, and handed over one after the other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from parity.catalogue.scenario import Scenario
from parity.recorder import workers
from parity.recorder.servers import Servers, patient
from parity.recorder.workers import Order
from parity.recording.file import Recording
from parity.targets.deployments import QUICK_RETRIES
from tests.parity.builders import scenario


def fallen_back(id: str) -> Scenario:
    made = scenario(id=id)
    return made.model_copy(update={"deployment": made.deployment.model_copy(update={"fallbacks": ["other"]})})


def hanging_up_after(events: int) -> Scenario:
    data = scenario(id="a.hasty").model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["provider"] = [{"sse": [{"data": "1"}, {"delay": 5}, {"data": "2"}]}]
    data["client"] = [{"json": {"stream": True}, "hang_up_after": events}]
    return Scenario.model_validate(data)


SCENARIOS = [scenario(id="a.one"), fallen_back("a.two"), scenario(id="a.three"), fallen_back("a.four")]


class World:
    """Servers that are only noted, and recordings that are the scenarios' ids."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.served: list[list[str]] = []
        self.running = 0
        self.environment: dict[str, str | None] = {}
        self.broken = ""
        self.asked: list[str] = []
        monkeypatch.setattr(workers, "started", self._started)
        monkeypatch.setattr(workers, "_here", self._here)
        monkeypatch.setattr(workers, "find_spec", lambda name: name)

    @contextlib.asynccontextmanager
    async def _started(self, scenarios: Sequence[Scenario]) -> AsyncIterator[Servers]:
        ids = [one.id for one in scenarios]
        if self.broken in ids:
            raise RuntimeError(f"no server for {self.broken}")
        self.served.append(ids)
        self.environment = {name: os.environ.get(name) for name in QUICK_RETRIES}
        self.running += 1
        try:
            yield Servers(" ".join(ids), "", "", "")
        finally:
            self.running -= 1

    def _here(self) -> Callable[[Servers, Scenario], Order]:
        async def make(servers: Servers, one: Scenario) -> Any:
            assert self.running
            assert one.id in servers.provider_url
            self.asked.append(one.id)
            return one.id

        return lambda servers, one: lambda: make(servers, one)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_recordings_come_in_the_order_of_their_scenarios(world: World) -> None:
    """Those with fallbacks have a LiteLLM of their own, and yet each recording comes in its turn."""
    seen: list[tuple[str, Any]] = []
    workers.record(SCENARIOS, lambda one, made: seen.append((one.id, made)))
    assert seen == [(one.id, one.id) for one in SCENARIOS]
    assert sorted(world.served) == [["a.one", "a.three"], ["a.two", "a.four"]]
    assert world.running == 0


def test_litellm_retries_quickly_while_recording_alone(world: World) -> None:
    """What LiteLLM reads of the environment is set while its processes start, and restored."""
    before = {name: os.environ.get(name) for name in QUICK_RETRIES}
    workers.record(SCENARIOS, lambda one, made: None)
    assert world.environment == QUICK_RETRIES
    assert {name: os.environ.get(name) for name in QUICK_RETRIES} == before


def test_a_server_that_does_not_start_is_told_as_it_is(world: World) -> None:
    """The error is the server's own, no group of errors, and what had started is stopped."""
    world.broken = "a.four"
    with pytest.raises(RuntimeError, match=r"no server for a\.four"):
        workers.record(SCENARIOS, lambda one, made: None)
    assert world.asked == []
    assert world.running == 0


def test_what_fails_on_the_way_stops_the_rest(world: World) -> None:
    """Once a recording can't be used no other is made, and the servers are stopped."""

    def refuse(one: Scenario, made: Recording) -> None:
        if one.id == "a.two":
            raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        workers.record(SCENARIOS, refuse)
    assert world.asked == ["a.one", "a.two"]
    assert world.running == 0


def test_without_litellm_nothing_is_started(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where litellm is missing the error is an `ImportError` that names it."""
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="litellm"):
        workers.record(SCENARIOS, lambda one, made: None)
    assert world.served == []


@pytest.mark.parametrize(
    ("asked", "scenarios", "expected"),
    [
        ("0", 700, 0),
        ("3", 700, 3),
        ("3", 2, 2),
        ("auto", 3, 0),
        ("auto", workers.WORTH_IT, 1),
        ("auto", 700, 4),
    ],
)
def test_workers_that_are_worth_their_start(
    asked: str, scenarios: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more are started than have something to do; `auto` starts none for a few scenarios."""
    monkeypatch.setattr(workers, "waiting_workers", lambda: 4)
    assert workers._count(asked, scenarios) == expected


def test_a_patient_client_stays_and_the_provider_does_not_wait_for_its_end() -> None:
    """A client that hangs up after an event is made to stay; one that hangs up before any is left as it is."""
    hasty = hanging_up_after(1)
    made = patient(hasty)
    assert [request.hang_up_after for request in made.client] == [None]
    assert [event.data for event in made.provider[0].sse or ()] == ["1", "2"]
    early = hanging_up_after(0)
    assert patient(early) is early

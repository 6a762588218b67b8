from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxies.binary.process import LiteLLMProcess, LiteLLMProcessError
from proxies.binary.supervisor import Supervisor, Watchdog
from proxies.config.models import ProxyConfig
from proxies.support.backoff import Backoff
from tests.proxies import fake_litellm

QUICK = Backoff(first=0.02, most=0.1, healthy=60.0)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """A litellm that starts at once; the result tells what it was started with."""
    return fake_litellm.install(tmp_path, monkeypatch)


def _config() -> ProxyConfig:
    models = [{"model_name": "gpt", "litellm_params": {"model": "openai/x", "api_key": "stub"}}]
    return ProxyConfig(model_list=models, general_settings={"master_key": "sk-a-key-of-the-tests"})


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


def test_waits_double_up_to_the_most() -> None:
    """Each failure in a row doubles the wait, up to a limit, also after thousands of them."""
    backoff = Backoff(first=1.0, most=10.0)
    for failures, whole in [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 10.0), (100_000, 10.0)]:
        waits = [backoff.delay(failures) for _ in range(200)]
        assert all(whole / 2 <= wait <= whole for wait in waits)


def test_waits_differ() -> None:
    """Proxies that lost their processes at the same moment don't start them again at the same moment."""
    assert len({Backoff().delay(3) for _ in range(20)}) > 1


async def test_one_that_dies_is_started_again(fake: Callable[[], dict[str, Any]]) -> None:
    """Meanwhile the outage says why and until when; afterwards a new process answers to the same key."""
    async with Supervisor(_config(), backoff=Backoff(first=0.4)) as supervisor:
        assert supervisor.outage is None
        first, key = fake()["pid"], supervisor.key
        os.kill(first, signal.SIGKILL)
        await _until(lambda: supervisor.outage is not None)
        outage = supervisor.outage
        assert outage is not None
        assert outage.what.startswith("the LiteLLM process was ended by SIGKILL")
        assert outage.lines == (), "what it said while it served may be about anybody's requests"
        assert 1 <= outage.retry_after <= 3
        await _until(lambda: supervisor.outage is None)
        assert fake()["pid"] != first
        assert supervisor.url.endswith(fake()["argv"][fake()["argv"].index("--port") + 1])
        assert (supervisor.key, supervisor.restarts) == (key, 1)
    assert supervisor.outage is not None


async def test_one_that_is_stuck_is_killed_and_started_again(fake: Callable[[], dict[str, Any]]) -> None:
    """A process that runs and answers nobody counts as dead, after several questions in a row."""
    watchdog = Watchdog(every=0.05, patience=0.2, misses=3)
    async with Supervisor(_config(), backoff=Backoff(first=0.4), watchdog=watchdog) as supervisor:
        first = fake()["pid"]
        os.kill(first, signal.SIGSTOP)
        await _until(lambda: supervisor.outage is not None)
        outage = supervisor.outage
        assert outage is not None
        assert outage.what.startswith("the LiteLLM process was killed: it had not answered for 1 s")
        await _until(lambda: supervisor.outage is None)
        assert (fake()["pid"] != first, supervisor.restarts) == (True, 1)


async def test_one_that_answers_now_and_then_is_not_stuck(
    fake: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only answers missed in a row count."""
    answers = itertools.cycle([False, False, True])
    asked = itertools.count()

    async def answers_within(self: LiteLLMProcess, seconds: float) -> bool:
        next(asked)
        return next(answers)

    async with Supervisor(_config(), watchdog=Watchdog(every=0.001, misses=3)) as supervisor:
        monkeypatch.setattr(LiteLLMProcess, "answers_within", answers_within)
        await _until(lambda: next(asked) > 100)
        assert (supervisor.outage, supervisor.restarts) == (None, 0)


async def test_one_that_cannot_come_up_does_not_spin(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again and again, each time after a longer wait, and says why; once it can, it does."""
    async with Supervisor(_config(), backoff=QUICK) as supervisor:
        waits: list[int] = []
        monkeypatch.setattr(Backoff, "delay", lambda self, failures: waits.append(failures) or 0.02)
        monkeypatch.setenv("FAKE_LITELLM", "dies")
        os.kill(fake()["pid"], signal.SIGKILL)
        await _until(lambda: len(waits) >= 3)
        assert waits == list(range(len(waits)))
        outage = supervisor.outage
        assert outage is not None
        assert "ended with exit code 1; restart" in outage.what
        assert "ImportError: no fastapi here" in str(outage)
        monkeypatch.delenv("FAKE_LITELLM")
        await _until(lambda: supervisor.outage is None)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines[0].startswith("the LiteLLM process was ended by SIGKILL; restart 1 in 0.0 s; it said last: ")
    assert lines[1].startswith(
        "the LiteLLM process ended with exit code 1; restart 2 in 0.0 s; it said last: "
    )
    assert lines[1].endswith(" | ImportError: no fastapi here")
    assert lines[-1].startswith("the LiteLLM process is back after ")
    assert not any("\n" in line for line in lines)
    assert supervisor.key not in caplog.text


@pytest.mark.parametrize(("healthy", "failures"), [(0.0, [0, 0, 0]), (60.0, [0, 1, 2])])
async def test_the_wait_is_the_first_again_after_a_healthy_while(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, healthy: float, failures: list[int]
) -> None:
    """One that ran long enough starts from the shortest wait; one that dies right away doesn't."""
    waits: list[int] = []
    monkeypatch.setattr(Backoff, "delay", lambda self, failures: waits.append(failures) or 0.0)
    async with Supervisor(_config(), backoff=Backoff(healthy=healthy)) as supervisor:
        for n in range(3):
            os.kill(fake()["pid"], signal.SIGKILL)
            await _until(lambda n=n: supervisor.restarts > n)
    assert waits == failures


async def test_a_clock_that_is_set_changes_nothing(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall clock that jumps by days, back and forth, neither delays a restart nor shows in retry-after."""
    jumps = itertools.cycle([0.0, 4e9, 1.7e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    async with Supervisor(_config(), backoff=QUICK) as supervisor:
        os.kill(fake()["pid"], signal.SIGKILL)
        await _until(lambda: supervisor.outage is not None)
        assert supervisor.outage is not None
        assert supervisor.outage.retry_after <= 3
        await _until(lambda: supervisor.outage is None)


async def test_any_trouble_is_no_reason_to_give_up(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, for instance, is told and waited out."""
    async with Supervisor(_config(), backoff=QUICK) as supervisor:
        with monkeypatch.context() as meanwhile:

            def full(*_: object) -> Path:
                raise OSError(28, "No space left on device")

            meanwhile.setattr("proxies.binary.process.write_config", full)
            os.kill(fake()["pid"], signal.SIGKILL)
            await _until(lambda: "No space left" in str(supervisor.outage))
        await _until(lambda: supervisor.outage is None)


async def test_the_first_start_must_succeed(fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong from the beginning is an error, not an outage to be waited out."""
    monkeypatch.setenv("FAKE_LITELLM", "dies")
    supervisor = Supervisor(_config(), backoff=QUICK)
    with pytest.raises(LiteLLMProcessError, match="no fastapi here"):
        await supervisor.start()
    assert supervisor.outage is not None
    await supervisor.stop()


@pytest.mark.parametrize("behaviour", ["", "dies", "hangs"])
async def test_stopping_ends_everything_at_any_time(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, behaviour: str
) -> None:
    """Also in the middle of a wait or of a start nothing is left behind, and nothing is started any more."""
    supervisor = Supervisor(_config(), backoff=Backoff(first=0.01, most=0.01))
    await supervisor.start()
    first = fake()["pid"]
    if behaviour:
        monkeypatch.setenv("FAKE_LITELLM", behaviour)
        os.kill(first, signal.SIGKILL)
        await _until(lambda: fake()["pid"] != first)
    await supervisor.stop()
    await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(fake()["pid"], 0)
    assert supervisor.outage is not None
    assert asyncio.all_tasks() == {asyncio.current_task()}

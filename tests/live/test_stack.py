"""The live stack comes up whole, or says what is wrong; and it goes away whole."""

from __future__ import annotations

import subprocess
import time
from os import getpid

import httpx
import pytest

from parity.catalogue.loading import Catalogue
from parity.targets import stack
from parity.targets.arms import ARMS, Arm
from parity.targets.stack import Stack, StackError

STOP_DEADLINE = 20.0


def processes() -> dict[int, int]:
    """Every process that is alive, with its parent."""
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True) as ps:
        rows = [line.split() for line in ps.communicate()[0].splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z" and int(pid) != ps.pid}


def descendants(ancestor: int) -> set[int]:
    parents = processes()
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def test_a_wrong_configuration_is_told_in_the_proxys_words(served: Catalogue, arm: Arm) -> None:
    """A stack that can't start raises, with what memory-proxy said about the configuration."""
    scenario = served["chat.plain"]
    missing = {"organization": "os.environ/PARITY_NO_SUCH_VARIABLE"}
    wrong = scenario.model_copy(
        update={"deployment": scenario.deployment.model_copy(update={"params": missing})}
    )
    with pytest.raises(StackError) as caught, stack.serve([wrong], (arm,)):
        pass
    told = str(caught.value)
    assert f"memory-proxy {arm} ended with exit code 2" in told
    assert "PARITY_NO_SUCH_VARIABLE" in told
    assert f"{arm}.yaml" in told


def test_a_stack_that_failed_leaves_no_process_behind(served: Catalogue) -> None:
    """When the sdk arm refuses a key, the binary one, which could start, is stopped as well."""
    before = descendants(getpid())
    scenario = served["chat.plain"]
    wrong = scenario.model_copy(
        update={"deployment": scenario.deployment.model_copy(update={"params": {"rpm": 3}})}
    )
    with pytest.raises(StackError, match="memory-proxy sdk ended"), stack.serve([wrong], ARMS):
        pass
    assert descendants(getpid()) <= before


def test_stopping_leaves_no_process_behind(served: Catalogue) -> None:
    """Both proxies and the LiteLLM process are gone when the stack is."""
    before = descendants(getpid())
    with stack.serve([served["chat.plain"]], ARMS) as running:
        started = descendants(getpid()) - before
        assert len(started) >= 3, "two proxies and the LiteLLM process of one of them"
        for url in running.urls.values():
            assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    deadline = time.monotonic() + STOP_DEADLINE
    while (left := started & set(processes())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


def test_a_description_travels_to_other_processes(live_stack: Stack) -> None:
    """What a worker is handed is the stack that the controller started."""
    assert Stack.load(live_stack.dump()) == live_stack

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from importlib.util import find_spec

import coverage
import pytest
from hypothesis import settings

from parity.support.cores import waiting_workers
from proxies.support import garbage
from proxies.support.redact import scoped_secrets

garbage.hold_off()  # while tests are collected, litellm and all

# The same examples every time, so that a red run says something about the change it ran for. To look for new ones:
# `pytest --hypothesis-profile default`.
settings.register_profile("repeatable", derandomize=True, deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    """Measure coverage where tests run, not in processes that they start, which would take twice as long to start."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        _measure_no_children()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Tell `-n auto` one worker more than there are cores, since tests wait for processes that they start.

    Not where litellm is installed: each worker imports it, which costs more than that.
    """
    if find_spec("litellm") is not None:
        return None
    return waiting_workers()


def _measure_no_children() -> None:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what stays until the end; a nested pytest would look through it ten times."""
    garbage.keep()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test that is marked `unmeasured` without measuring its coverage."""
    measuring = coverage.Coverage.current() if item.get_closest_marker("unmeasured") else None
    if measuring is None:
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()
        _measure_no_children()


@pytest.fixture(autouse=True)
def secrets_of_its_own() -> Iterator[None]:
    """A key that one test's configuration holds is no secret in the next one's log lines."""
    with scoped_secrets():
        yield


@pytest.fixture(autouse=True)
def a_ctrl_c_counts() -> Iterator[None]:
    """As in a terminal's foreground: a shell makes jobs in the background ignore SIGINT, and their children too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

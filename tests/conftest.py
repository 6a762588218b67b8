from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from proxies.support.redact import scoped_secrets

# The same examples every time, so that a red run says something about the change it ran for. To look for new ones:
# `pytest --hypothesis-profile default`.
settings.register_profile("repeatable", derandomize=True, deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("repeatable")


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

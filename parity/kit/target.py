"""Runs one test on both proxies: the target's client asks, its stubs answer in the dialect of its arm."""

from __future__ import annotations

from parity.kit.answer_methods import Answering
from parity.kit.client import MockAsyncClient
from parity.kit.litellm_mock import MockCompletion
from parity.kit.proxy_client import ProxyClient
from parity.targets.arms import Arm


class KitTarget(Answering):
    """Holds a proxy with its backend mocked.

    `client` asks it; `answers`, `streams` and `refuses` say what comes back; `calls` is what went up, in one form
    for both. `name` is `binary` or `sdk`. `mock` is the backend: the LiteLLM process as a
    `MockAsyncClient`, or LiteLLM's functions as a `MockCompletion`.
    """

    def __init__(self, name: Arm, client: ProxyClient, mock: MockAsyncClient | MockCompletion) -> None:
        self.name = name
        self.client = client
        self.mock = mock
        self.stubs = mock.stubs
        self.stubs.name = "target"
        self.calls = mock.calls

    def __repr__(self) -> str:
        return f"<target {self.name}>"

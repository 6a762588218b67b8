"""One live stack for every test here: both proxies, the real LiteLLM, and the stub provider on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.targets import stack
from parity.targets.arms import ARMS, Arm
from parity.targets.stack import Stack
from tests.live.far_end import FarEnd
from tests.needs_litellm import marked_live

SERVED = (
    "chat/plain",
    "chat/tool_call",
    "chat/unicode",
    "embeddings/base64",
    "embeddings/inputs",
    "embeddings/status",
    "errors/content_policy",
    "errors/context_length",
    "errors/openai_status",
    "errors/timeout",
    "messages/claude_code",
    "messages/error_event",
    "messages/half",
    "messages/hang_up",
    "messages/hang_up_early",
    "messages/headers",
    "messages/openai_plain",
    "messages/openai_tool_use",
    "messages/openai_tool_use_stream",
    "messages/plain",
    "messages/status",
    "messages/stream",
    "messages/thinking_stream",
    "messages/timeout",
    "messages/tool_use",
    "messages/tool_use_stream",
    "responses/anthropic_stream",
    "responses/plain",
    "responses/status_stream",
    "responses/stream",
    "responses/stream_fails",
    "responses/stream_tool_call",
    "sessions/challenge",
    "streaming/error_frame",
    "streaming/hang_up",
    "streaming/hang_up_early",
    "streaming/plain",
    "streaming/tool_call",
    "streaming/usage",
)

SHARED = ("live_stack", "statuses", "rig", "real")
"""Fixtures that start LiteLLM once for many tests: with `--dist loadgroup` one worker plays all tests of each."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything below this folder `live`; it needs LiteLLM's proxy, and may wait for it to come up."""
    for item in marked_live(items, Path(__file__).parent):
        for name in SHARED:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def served() -> Catalogue:
    """The scenarios whose aliases the live stack knows as models."""
    return Catalogue.load(loading.BUILT_IN / f"{name}.yaml" for name in SERVED)


@pytest.fixture(scope="session")
def live_stack(served: Catalogue) -> Iterator[Stack]:
    """Start it once for the whole session; under xdist, for each worker that needs one."""
    with stack.serve(served, ARMS) as running:
        yield running


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> Arm:
    chosen: Arm = request.param
    return chosen


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    """A provider of the test's own, which is the memory store too."""
    async with FarEnd() as serving:
        yield serving

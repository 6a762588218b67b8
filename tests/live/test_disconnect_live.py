"""A client that goes away takes the provider's call with it, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from parity.provider.control import ProviderControl
from parity.targets.arms import Arm
from parity.targets.stack import Stack

QUICKLY = 2.0
"""Seconds. A second is promised; the rest is for the machine that the test runs on."""
PATIENTLY = 20.0

MID_STREAM = "streaming.hang_up"


def question(model: str, stream: bool) -> dict[str, Any]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "Tell me a story."}]}


@pytest.fixture
async def control(live_stack: Stack) -> AsyncIterator[ProviderControl]:
    async with ProviderControl(live_stack.provider_url) as made:
        yield made


@pytest.fixture
async def client(live_stack: Stack, arm: Arm) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=live_stack.urls[arm],
        headers={"authorization": f"Bearer {live_stack.key}"},
        trust_env=False,
        timeout=PATIENTLY,
    ) as made:
        yield made


async def cancelled_after(control: ProviderControl, arm: Arm, scenario: str) -> float:
    """Seconds until the provider saw its caller go; fails when it never did."""
    since = time.monotonic()
    assert await control.wait_cancelled(arm, scenario, PATIENTLY), "the provider's call was never cancelled"
    return time.monotonic() - since


async def test_hanging_up_in_the_middle(
    control: ProviderControl, client: httpx.AsyncClient, arm: Arm
) -> None:
    """A stream whose reader leaves is cancelled at the provider, while that is still thinking."""
    await control.forget(arm, MID_STREAM)
    async with client.stream("POST", "/v1/chat/completions", json=question(MID_STREAM, True)) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if "there" in line:  # the last word before a silence of many seconds
                break
    assert await cancelled_after(control, arm, MID_STREAM) < QUICKLY


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_hanging_up_before_the_first_byte(
    control: ProviderControl, client: httpx.AsyncClient, arm: Arm, stream: bool
) -> None:
    """A caller who gives up waiting is cancelled at the provider, too."""
    scenario = f"streaming.hang_up_early[{'stream' if stream else 'plain'}]"
    await control.forget(arm, scenario)
    asking = asyncio.create_task(client.post("/v1/chat/completions", json=question(scenario, stream)))
    assert await control.wait_called(arm, scenario, PATIENTLY)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await cancelled_after(control, arm, scenario) < QUICKLY


async def test_a_reader_who_stays_is_not_cancelled(
    control: ProviderControl, client: httpx.AsyncClient, arm: Arm
) -> None:
    """A stream that is read to its end is complete at the provider, not cancelled."""
    await control.forget(arm, "streaming.plain")
    response = await client.post("/v1/chat/completions", json=question("streaming.plain", True))
    assert response.text.endswith("data: [DONE]\n\n")
    assert not await control.wait_cancelled(arm, "streaming.plain", PATIENTLY)
    (call,) = (await control.state(arm, "streaming.plain")).calls
    assert call.completed

"""An answer whose pieces are always there lets others have their turn."""

from __future__ import annotations

import time
from typing import Any

from proxies.support.fairness import TURN, Fair
from tests.turns import turns_during


async def _busy(scope: Any, receive: Any, send: Any) -> None:
    """Sends for a while without ever waiting for anything."""
    until = time.monotonic() + 30 * TURN
    while time.monotonic() < until:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})


async def _turns(app: Any, kind: str) -> int:
    """How often somebody else had a turn while `app` answered."""

    async def send(message: Any) -> None:
        pass

    return await turns_during(app({"type": kind}, None, send))


async def test_others_have_their_turn() -> None:
    """Nobody has one while the bare application sends; wrapped it pauses again and again."""
    assert await _turns(_busy, "http") == 0
    assert await _turns(Fair(_busy), "http") >= 3


async def test_what_is_no_request_is_left_alone() -> None:
    """The lifespan is none of its business."""
    assert await _turns(Fair(_busy), "lifespan") == 0

"""Group 5: a whole request, many of them at once."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx

from parity.targets.arms import Arm
from tests.promises.upstream import Upstream, ask, completion, proxy, said


async def test_ten_at_once_each_get_their_own_answer(arm: Arm) -> None:
    """Of ten concurrent requests, answered in another order than asked, each has its own answer and user."""
    waiting: list[tuple[asyncio.Future[httpx.Response], httpx.Response]] = []

    async def answer(request: httpx.Request, body: Any) -> httpx.Response:
        future: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        waiting.append((future, completion(f"You asked: {body['messages'][-1]['content']}")))
        if len(waiting) == 10:
            random.shuffle(waiting)
            for ready, response in waiting:
                ready.set_result(response)
        return await future

    async with proxy(arm, Upstream(answer)) as client:
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                *(ask(client, f"question {n}", x_memory_user_id=f"user-{n}") for n in range(10))
            )
    assert [said(answered) for answered in answers] == [f"You asked: question {n}" for n in range(10)]


async def test_one_after_the_other(arm: Arm) -> None:
    """Requests in a row are independent: a failure in the middle is that request's alone."""

    def answer(request: httpx.Request, body: Any) -> httpx.Response:
        asked = body["messages"][-1]["content"]
        if asked == "fail":
            error = {"message": "Not this one.", "type": "invalid_request_error", "param": None, "code": None}
            return httpx.Response(422, json={"error": error})
        return completion(asked.upper())

    async with proxy(arm, Upstream(answer)) as client:
        answers = [await ask(client, text) for text in ("one", "fail", "two")]
    assert [answered.status_code for answered in answers] == [200, 422, 200]
    assert (said(answers[0]), said(answers[2])) == ("ONE", "TWO")
    assert answers[1].json()["error"]["message"] == "Not this one."

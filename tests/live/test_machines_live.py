"""Two proxies, a real LiteLLM in each, and one Redis, as on two machines: what a user earns at one serves at both."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from tests.live.far_end import FarEnd
from tests.live.in_front import client, config, question, serving
from tests.redis_server import redis_server

ANN = {"x-memory-user-id": "ann"}
BOB = {"x-memory-user-id": "bob"}


async def test_what_one_machine_learns_of_a_user_serves_on_the_other(far_end: FarEnd, tmp_path: Path) -> None:
    """The provider's challenge is solved once, and what was told is remembered, each of that user alone."""
    kind = "real" if shutil.which("redis-server") else "fake"
    with redis_server(kind) as store:
        memory = {"enabled": True, "store": "shared", "write_back": True}
        document = config(far_end, shared_store={"url": store}, context_retrieval=memory)
        folders = [tmp_path / name for name in ("one", "other")]
        for folder in folders:
            folder.mkdir()
        async with (
            serving("sdk", folders[0], document) as (_, one),
            serving("sdk", folders[1], document) as (_, other),
        ):
            assert await asked(one, ANN) == ("miss", "")
            async with asyncio.timeout(30):
                while await asked(other, ANN) != ("hit", "who=ann"):
                    await asyncio.sleep(0.05)
            assert await asked(other, BOB) == ("miss", "")


async def asked(url: str, user: dict[str, str]) -> tuple[str, str]:
    """Ask on a connection of its own; return what became of the memories, and the cookie that came to the provider."""
    async with client(url) as asking:
        answer = await asking.post(
            "/v1/chat/completions", json=question("openai", "question 1"), headers=user
        )
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.json()["choices"][0]["message"]["content"])
    return answer.headers["x-memory"], str(told[2])

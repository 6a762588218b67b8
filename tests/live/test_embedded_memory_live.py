"""Memories in a file of the proxy's own, over real sockets: told in one chat, known in the next."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx

from parity.catalogue.loading import Catalogue
from parity.provider.control import ProviderControl
from parity.provider.server import serve_in_thread
from parity.targets.arms import Arm
from parity.targets.deployments import config_document
from parity.targets.stack import ProxyProcess

KEY = "sk-test-of-embedded-memory-0123456789"
PLAIN, STREAMED = "chat.plain", "streaming.plain"


async def test_a_fact_is_in_the_next_chat_of_its_user_alone(
    served: Catalogue, arm: Arm, tmp_path: Path
) -> None:
    """Without any account: told plainly or in a stream, known after a restart, and never to another user."""
    scenarios = [served[PLAIN], served[STREAMED]]
    with serve_in_thread(scenarios) as provider:
        document = config_document(scenarios, arm, master_key=KEY, provider_url=provider.url)
        memory = {"enabled": True, "store": "embedded", "path": "memory.db", "write_back": True}
        config = tmp_path / "config.yaml"
        config.write_text(json.dumps({**document, "context_retrieval": memory}))
        async with ProviderControl(provider.url) as control:

            async def asked(url: str, user: str, model: str, text: str) -> tuple[str, Any]:
                """What the answer says of memories, and the content that the provider got."""
                await control.forget(arm, model)
                body = {"model": model, "messages": [{"role": "user", "content": text}]}
                headers = {"authorization": f"Bearer {KEY}", "x-memory-user-id": user}
                async with httpx.AsyncClient(trust_env=False, timeout=60, headers=headers) as client:
                    path = f"{url}/v1/chat/completions"
                    answer = await client.post(path, json={**body, "stream": model == STREAMED})
                assert answer.status_code == 200, answer.text
                state = await control.state(arm, model)
                return answer.headers["x-memory"], state.calls[-1].body["messages"][-1]["content"]

            process = ProxyProcess(arm, config)
            try:
                url = process.wait_listening(time.monotonic() + 120)
                assert await asked(url, "ann", PLAIN, "My dog is called Rex.") == (
                    "miss",
                    "My dog is called Rex.",
                )
                outcome, content = await asked(url, "ann", STREAMED, "I live in Oslo. And my dog?")
                assert outcome == "hit"
                assert "- The user said: My dog is called Rex. The answer was: " in content
                assert await asked(url, "bob", PLAIN, "Who is Rex?") == ("miss", "Who is Rex?")
            finally:
                process.stop()

            process = ProxyProcess(arm, config)
            try:
                url = process.wait_listening(time.monotonic() + 120)
                _, content = await asked(url, "ann", PLAIN, "Where do I live?")
                assert "- The user said: I live in Oslo." in content
                assert "My dog is called Rex." in content
            finally:
                process.stop()
    assert (tmp_path / "memory.db").stat().st_mode & 0o077 == 0

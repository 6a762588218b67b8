"""The real interceptor in front of each real proxy, used by the official clients."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest

from parity.targets.arms import Arm
from parity.targets.stack import Stack
from proxies.interceptor.project import default_user_id

QUESTION = "Hello?"


@pytest.fixture
async def intercepted(live_stack: Stack, arm: Arm, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a process that serves the project `tmp_path`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxies", "interceptor"),
        *("--project", str(tmp_path), "--upstream", live_stack.urls[arm], "--port", "0"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PORT_REGISTRY_PATH": str(tmp_path / "ports.json")},
    )
    assert process.stderr is not None
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        found = re.search(r"listening on (http://\S+)", line)
        assert found, line
        yield found[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        said = await process.stderr.read()
        assert await process.wait() == 0, said
        assert said == b""


async def test_the_projects_user(intercepted: str, live_stack: Stack, arm: Arm, tmp_path: Path) -> None:
    """The memory proxy takes a request through the interceptor for the project's, unless it names a user."""
    async with httpx.AsyncClient(base_url=intercepted) as client:
        info = (await client.get("/memory-routing/info")).json()
        assert (info["user_id"], info["custom_header_present"]) == (default_user_id(tmp_path), True)
        named = await client.get("/memory-routing/info", headers={"x-memory-user-id": "somebody"})
        assert named.json()["user_id"] == "somebody"
    async with httpx.AsyncClient(base_url=live_stack.urls[arm]) as client:
        assert (await client.get("/memory-routing/info")).json()["is_default"]


async def test_openai_client(intercepted: str, live_stack: Stack) -> None:
    """Completions come plain and streamed, errors as the exceptions that they are without the interceptor."""
    async with openai.AsyncOpenAI(
        base_url=f"{intercepted}/v1", api_key=live_stack.key, max_retries=0, timeout=30
    ) as client:
        completion = await client.chat.completions.create(
            model="chat.plain", messages=[{"role": "user", "content": QUESTION}]
        )
        assert completion.choices[0].message.content == "Hello! How can I assist you today?"
        stream = await client.chat.completions.create(
            model="streaming.plain", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        parts = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        assert len(list(filter(None, parts))) > 1
        assert {model.id async for model in client.models.list()} >= {"chat.plain"}
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(
                model="no-such-model", messages=[{"role": "user", "content": QUESTION}]
            )
    async with openai.AsyncOpenAI(base_url=f"{intercepted}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


async def test_anthropic_client(intercepted: str, live_stack: Stack) -> None:
    """Messages come plain and streamed, with the key in Anthropic's own header."""
    async with anthropic.AsyncAnthropic(
        base_url=intercepted, api_key=live_stack.key, max_retries=0, timeout=30
    ) as client:
        message = await client.messages.create(
            model="messages.plain", max_tokens=100, messages=[{"role": "user", "content": QUESTION}]
        )
        assert message.content
        async with client.messages.stream(
            model="messages.stream", max_tokens=100, messages=[{"role": "user", "content": QUESTION}]
        ) as stream:
            assert await stream.get_final_text()

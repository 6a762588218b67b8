"""A proxy process of a test's own in front of the far end, and how it is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from parity.targets.arms import Arm
from parity.targets.stack import START_DEADLINE, ProxyProcess
from tests.live.far_end import STUCK, FarEnd

KEY = "sk-of-the-tests-0123456789abcdef"
_MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-3-5-haiku-20241022",
    "stuck": f"openai/{STUCK}",
}


def config(far_end: FarEnd, infos: Mapping[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """The models `openai`, `anthropic` and `stuck`, all at the far end; `infos` is more `model_info` by name."""
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": model,
                    "api_base": far_end.url if name == "anthropic" else f"{far_end.url}/v1",
                    "api_key": "of-the-provider",
                },
                "model_info": {"supermemory": True, **(infos or {}).get(name, {})},
            }
            for name, model in _MODELS.items()
        ],
        "general_settings": {"master_key": KEY},
        **sections,
    }


def looked_up_at(far_end: FarEnd) -> dict[str, Any]:
    """The section for memories of everyone's, patiently, but for `stuck`."""
    return {
        "enabled": True,
        "base_url": far_end.url,
        "api_key": "of-the-store",
        "timeout": 30.0,
        "models": {"deny": ["stuck"]},
    }


def written(folder: Path, document: Mapping[str, Any]) -> Path:
    """The file that holds it."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(document))
    return path


@asynccontextmanager
async def serving(
    arm: Arm, folder: Path, document: Mapping[str, Any], *options: str
) -> AsyncIterator[tuple[ProxyProcess, str]]:
    """The process, once it listens, and its URL; `options` are those of the command."""
    process = ProxyProcess(arm, written(folder, document), *options)
    try:
        url = await asyncio.to_thread(process.wait_listening, time.monotonic() + START_DEADLINE)
        yield process, url
    finally:
        await asyncio.to_thread(process.stop)


def client(url: str) -> httpx.AsyncClient:
    """With the key, for up to 300 requests at once."""
    return httpx.AsyncClient(
        base_url=url,
        headers={"authorization": f"Bearer {KEY}"},
        timeout=60,
        trust_env=False,
        limits=httpx.Limits(max_connections=300),
    )


def question(model: str, text: str, *, stream: bool = False) -> dict[str, Any]:
    """The body of a chat completion, and of a message as well."""
    return {
        "model": model,
        "max_tokens": 64,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }

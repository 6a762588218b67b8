"""Keys that stand in the environment, changed while the proxy was down: the way keys are rotated."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.provider.control import ProviderControl
from parity.provider.server import base_url, serve_in_thread
from parity.targets.arms import Arm
from parity.targets.stack import START_DEADLINE, ProxyProcess

MASTER = ("sk-of-the-tests-master-key-of-january", "sk-of-the-tests-master-key-of-february")
PROVIDER = ("the-providers-key-of-january", "the-providers-key-of-february")
MODELS = {
    "openai": ("chat.plain", "openai/gpt-4o-mini", "authorization", "Bearer "),
    "anthropic": ("chat.anthropic", "anthropic/claude-3-5-haiku-20241022", "x-api-key", ""),
}


def document(arm: Arm, provider_url: str) -> dict[str, Any]:
    def deployment(name: str, scenario: str, model: str) -> dict[str, Any]:
        base = base_url(provider_url, arm, scenario) + ("/v1" if name == "openai" else "")
        params = {"model": model, "api_base": base, "api_key": "os.environ/ROTATED_PROVIDER_KEY"}
        return {"model_name": name, "litellm_params": params}

    return {
        "model_list": [deployment(name, *known[:2]) for name, known in MODELS.items()],
        "general_settings": {"master_key": "os.environ/ROTATED_MASTER_KEY"},
    }


async def test_rotated_keys(arm: Arm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart the new keys are used and the old ones are not: the client's at the door, ours at the provider.

    The configuration file stays as it is, and no key is ever written beside it.
    """
    config = tmp_path / "config.yaml"
    served = Catalogue.load(loading.BUILT_IN / "chat" / f"{name}.yaml" for name in ("plain", "anthropic"))
    with serve_in_thread(served) as provider:
        config.write_text(json.dumps(document(arm, provider.url)))
        before = config.read_text()
        async with ProviderControl(provider.url) as control:
            for now, then in ((0, 1), (1, 0)):
                monkeypatch.setenv("ROTATED_MASTER_KEY", MASTER[now])
                monkeypatch.setenv("ROTATED_PROVIDER_KEY", PROVIDER[now])
                process = ProxyProcess(arm, config)
                try:
                    url = process.wait_listening(time.monotonic() + START_DEADLINE)
                    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
                        for model, (scenario, _, header, prefix) in MODELS.items():
                            await control.forget(arm, scenario)
                            answers = [await ask(client, model, key) for key in (MASTER[now], MASTER[then])]
                            assert [answer.status_code for answer in answers] == [200, 401], answers[0].text
                            calls = (await control.state(arm, scenario)).calls
                            assert [call.headers[header] for call in calls] == [prefix + PROVIDER[now]]
                finally:
                    process.stop()
    assert config.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


async def ask(client: httpx.AsyncClient, model: str, key: str) -> httpx.Response:
    body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello?"}]}
    return await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})

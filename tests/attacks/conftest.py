"""Both proxies as processes, the real LiteLLM behind `binary`, a provider that answers, and a trap.

    attack ──> memory-proxy ──> LiteLLM ──> provider     the only way that a request may go
                                       └──> trap         an address of the attacker's, or where the environment's keys,
                                                         which no configured model uses, would be sent
                                └──> MCP server   the operator's, a trap too

Whatever reaches a trap fails the test during which it came, and the run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from parity.targets.arms import ARMS, Arm
from parity.targets.stack import START_DEADLINE, ProxyProcess
from tests.attacks.far_end import Provider, Trap, environment
from tests.needs_litellm import marked_live

KEY = "sk-of-the-attacks-0123456789abcdef"
PROVIDER_KEY = "the-providers-key"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder is `live` and `attacks`, and needs LiteLLM's proxy."""
    for item in marked_live(items, Path(__file__).parent):
        item.add_marker(pytest.mark.attacks)


@dataclass(frozen=True)
class Scene:
    """Proxies under attack: their URLs by arm, and what stands behind them."""

    urls: Mapping[str, str]
    provider: Provider
    trap: Trap
    mcp: Trap
    client: httpx.Client

    def caught(self) -> list[bytes]:
        """What reached one of the traps."""
        return [*self.trap.caught(), *self.mcp.caught()]

    def send(self, arm: str, method: str, path: str, **what: Any) -> httpx.Response:
        """The proxy's answer to somebody with the key; `what` is httpx's."""
        headers = {"authorization": f"Bearer {KEY}", **what.pop("headers", {})}
        return self.client.request(method, f"{self.urls[arm]}{path}", headers=headers, **what)


def config(provider: Provider, **general_settings: Any) -> dict[str, Any]:
    """The models `openai` and `claude`, both at the provider."""

    def model(name: str, model: str, base: str) -> dict[str, Any]:
        params = {"model": model, "api_base": base, "api_key": PROVIDER_KEY}
        return {"model_name": name, "litellm_params": params}

    return {
        "model_list": [
            model("openai", "openai/gpt-4o-mini", f"{provider.url}/v1"),
            model("claude", "anthropic/claude-3-5-haiku-20241022", provider.url),
        ],
        "general_settings": {"master_key": KEY, **general_settings},
    }


def mcp_servers(mcp: Trap) -> dict[str, Any]:
    """The section of an operator who has an MCP server, `tickets`, for LiteLLM's gateway."""
    server = {"url": f"{mcp.url}/mcp", "transport": "http", "auth_type": "none", "allow_all_keys": True}
    return {"mcp_servers": {"tickets": server}}


def files_settings(provider: Provider) -> dict[str, Any]:
    """The section that says where LiteLLM sends files."""
    settings = {"custom_llm_provider": "openai", "api_base": f"{provider.url}/v1", "api_key": PROVIDER_KEY}
    return {"files_settings": [settings]}


@contextmanager
def serving(folder: Path, arms: Iterable[Arm], **general_settings: Any) -> Iterator[Scene]:
    """A scene with a proxy for each of `arms`, stopped at the end."""
    with ExitStack() as closing:
        provider, trap, mcp = Provider(), Trap(), Trap()
        closing.enter_context(provider.serving())
        closing.callback(trap.close)
        closing.callback(mcp.close)
        patched = closing.enter_context(pytest.MonkeyPatch.context())
        for name, value in environment(trap).items():
            patched.setenv(name, value)
        processes = {}
        for arm in arms:
            document = config(provider, **general_settings)
            if arm == "binary":
                document |= mcp_servers(mcp) | files_settings(provider)
            path = folder / f"{arm}.yaml"
            path.write_text(json.dumps(document))
            processes[arm] = ProxyProcess(arm, path)
            closing.callback(processes[arm].stop)
        deadline = time.monotonic() + START_DEADLINE
        urls = {arm: process.wait_listening(deadline) for arm, process in processes.items()}
        if "binary" in urls:
            mcp.expect(1, START_DEADLINE)  # LiteLLM asks it for its tools when it starts
        client = closing.enter_context(httpx.Client(timeout=30, trust_env=False))
        yield Scene(urls, provider, trap, mcp, client)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Both proxies, up for the whole session; under xdist each worker has its own."""
    with serving(tmp_path_factory.mktemp("attacks"), ARMS) as running:
        yield running
        assert running.caught() == []


@pytest.fixture
def safe_scene(scene: Scene) -> Iterator[Scene]:
    """The session's scene, whose traps and provider nothing may reach during the test."""
    caught, asked = len(scene.caught()), len(scene.provider.requests)
    yield scene
    assert scene.caught()[caught:] == []
    assert scene.provider.requests[asked:] == []


@pytest.fixture(params=ARMS)
def arm(request: pytest.FixtureRequest) -> Arm:
    chosen: Arm = request.param
    return chosen

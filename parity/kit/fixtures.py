"""Defines the fixtures, and the hook that fails a test whose stubs were not used. Registered by the plugin.

parity_kit ── proxy_config ── make_proxy_client ── test_client, binary_client, sdk_client
           ├─ mock_httpx_client and its namesakes, mock_litellm_session
           ├─ mock_litellm_completion
           ├─ mock_supermemory_api
           └─ target
parity_scenarios ── parity_provider
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import pytest

from parity.kit import client as clients
from parity.kit.client import MockAsyncClient
from parity.kit.defaults import default_config
from parity.kit.guard import BY_KIT, MANAGERS, Guard
from parity.kit.hints import hint
from parity.kit.litellm_mock import MockCompletion, in_place
from parity.kit.memory_api import MockSupermemoryAPI
from parity.kit.mistakes import Notebook
from parity.kit.provider import PlayedProvider, served
from parity.kit.proxy_client import ProxyClient
from parity.kit.target import KitTarget
from parity.targets.arms import ARMS, Arm, create_app
from parity.targets.deployments import LITELLM_URL

NO_LITELLM = "the sdk proxy needs litellm: pip install 'proxy-parity[sdk]'"


@dataclass
class Kit:
    """Holds what the fixtures of one test share."""

    notebook: Notebook = field(default_factory=Notebook)
    model_list: list[dict[str, Any]] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.guard = Guard(self.notebook)

    def hand_out(self, session: MockAsyncClient, *managers: str) -> None:
        """Make session managers give this client to everyone, until another one is handed out."""

        async def get_session(manager: Any, upstream: str, user_id: str) -> MockAsyncClient:
            return session

        setattr(get_session, BY_KIT, True)
        for name in managers:
            self.closing.enter_context(patch.object(MANAGERS[name], "get_session", get_session))


_KIT = pytest.StashKey[Kit]()


def pytest_configure(config: pytest.Config) -> None:
    # pydantic warns about LiteLLM types that are built when first used, which may happen in any test.
    config.addinivalue_line("filterwarnings", "ignore:Items? .* on TypedDict class:UserWarning")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    kit = item.stash.get(_KIT, None)
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        for note in filter(None, [hint(error), *(kit.notebook.sentences if kit else ())]):
            if note not in str(error):
                error.add_note(note)
        raise
    if kit and (wrong := kit.notebook.verdict()):
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.fixture
def parity_kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    """Yield what the kit's fixtures of one test share; not for tests."""
    kit = request.node.stash[_KIT] = Kit()
    with kit.closing:
        yield kit


@pytest.fixture
def proxy_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the proxies' config.yaml as data; override it in a module or class. See `default_config`.

    With `mock_supermemory_api` in the test, memories are looked up.
    """
    return default_config(memory="mock_supermemory_api" in request.fixturenames)


class MakeProxyClient(Protocol):
    def __call__(self, arm: Arm = "binary", **sections: Any) -> ProxyClient: ...


@pytest.fixture
def make_proxy_client(
    request: pytest.FixtureRequest, parity_kit: Kit, proxy_config: dict[str, Any]
) -> Iterator[MakeProxyClient]:
    """Return a function that makes a client of a new proxy: `make_proxy_client("sdk",
    general_settings={...})`.

    A section replaces that of `proxy_config`, key by key where both are objects.
    """
    with ExitStack() as running:

        def make(arm: Arm = "binary", **sections: Any) -> ProxyClient:
            if arm == "sdk":
                _need_litellm()
            config = dict(proxy_config)
            for name, section in sections.items():
                both = isinstance(section, Mapping) and isinstance(config.get(name), Mapping)
                config[name] = {**config[name], **section} if both else section
            parity_kit.model_list += config.get("model_list", [])
            key = config.get("general_settings", {}).get("master_key", "")
            app = create_app(arm, config, litellm_url=LITELLM_URL)
            client = ProxyClient(arm, app, key, parity_kit.guard, parity_kit.notebook)
            return running.enter_context(client)

        yield make


@pytest.fixture
def test_client(make_proxy_client: MakeProxyClient) -> ProxyClient:
    """Yield a client of the binary proxy, the key in its headers."""
    return make_proxy_client("binary")


@pytest.fixture
def binary_client(make_proxy_client: MakeProxyClient) -> ProxyClient:
    """Yield a client of the binary proxy, the key in its headers."""
    return make_proxy_client("binary")


@pytest.fixture
def sdk_client(make_proxy_client: MakeProxyClient) -> ProxyClient:
    """Yield a client of the sdk proxy, the key in its headers. Skips where litellm isn't installed."""
    return make_proxy_client("sdk")


@pytest.fixture
def mock_httpx_client(parity_kit: Kit) -> MockAsyncClient:
    """Yield an HTTP client without a network, which both session managers hand out, also without any patch."""
    client = MockAsyncClient(parity_kit.notebook)
    parity_kit.hand_out(client, *ARMS)
    return client


@pytest.fixture
def configure_mock_httpx_response() -> Callable[..., None]:
    """Return the function of this name in `parity.kit`."""
    return clients.configure_mock_httpx_response


@pytest.fixture
def mock_chat_completions_response(mock_httpx_client: MockAsyncClient) -> MockAsyncClient:
    """Return `mock_httpx_client`, in a test about chat completions."""
    return mock_httpx_client


@pytest.fixture
def mock_models_endpoint_response(mock_httpx_client: MockAsyncClient) -> MockAsyncClient:
    """Return `mock_httpx_client`, in a test about models."""
    return mock_httpx_client


@pytest.fixture
def mock_health_endpoint_response(mock_httpx_client: MockAsyncClient) -> MockAsyncClient:
    """Return `mock_httpx_client`, in a test about health: the LiteLLM process says that it is alive."""
    return mock_httpx_client


@pytest.fixture
def mock_streaming_response(mock_httpx_client: MockAsyncClient) -> MockAsyncClient:
    """Return `mock_httpx_client`, in a test about streams."""
    return mock_httpx_client


@pytest.fixture
def mock_httpx_smart_router(mock_httpx_client: MockAsyncClient) -> MockAsyncClient:
    """Return `mock_httpx_client`, in a test with several endpoints or clients; `When` tells them apart."""
    return mock_httpx_client


@pytest.fixture
def mock_error_response_fixture(parity_kit: Kit) -> Callable[..., MockAsyncClient]:
    """Return a function that makes a client answer with an error.

    For example `mock_error_response_fixture(429, "Slow down.", retry_after="7")`.

    The session managers hand it out from then on.
    """

    def make(status: int | None = None, message: str | None = None, **more: Any) -> MockAsyncClient:
        client = MockAsyncClient(parity_kit.notebook, "mock_error_response")
        client.refuses(status, message, **more)
        parity_kit.hand_out(client, *ARMS)
        return client

    return make


@pytest.fixture
def mock_litellm_session(parity_kit: Kit) -> MockAsyncClient:
    """Return the session of the sdk proxy: LiteLLM itself runs, and calls its provider through it."""
    client = MockAsyncClient(parity_kit.notebook, "mock_litellm_session")
    parity_kit.hand_out(client, "sdk")
    return client


@pytest.fixture
def mock_litellm_completion(parity_kit: Kit) -> Iterator[MockCompletion]:
    """Yield mocks of LiteLLM's functions, which answer its own objects and raise its own exceptions."""
    _need_litellm()
    mock = MockCompletion(parity_kit.notebook, deployments=lambda: parity_kit.model_list)
    with in_place(mock):
        yield mock


@pytest.fixture
def mock_supermemory_api(parity_kit: Kit) -> MockSupermemoryAPI:
    """Yield the memory store; with it in a test, the kit's proxies look memories up."""
    api = MockSupermemoryAPI(parity_kit.notebook)
    parity_kit.hand_out(api.client, "memory")
    return api


@pytest.fixture
def parity_scenarios() -> tuple[Path, ...]:
    """Return the files or folders of scenarios that `parity_provider` plays: none stands for those that ship."""
    return ()


@pytest.fixture
def parity_provider(request: pytest.FixtureRequest, parity_scenarios: Iterable[Path | str]) -> PlayedProvider:
    """Return the scenarios' provider on a port of this machine, for anything that talks to an LLM."""
    return served(request.config, tuple(Path(path) for path in parity_scenarios))


@pytest.fixture(params=ARMS)
def target(
    request: pytest.FixtureRequest, parity_kit: Kit, make_proxy_client: MakeProxyClient
) -> Iterator[KitTarget]:
    """Yield each proxy in turn, its backend mocked. The sdk one skips where litellm isn't installed."""
    arm: Arm = request.param
    client = make_proxy_client(arm)
    if arm == "binary":
        http = MockAsyncClient(parity_kit.notebook)
        parity_kit.hand_out(http, "binary")
        yield KitTarget(arm, client, http)
        return
    with in_place(
        MockCompletion(parity_kit.notebook, deployments=lambda: parity_kit.model_list)
    ) as functions:
        yield KitTarget(arm, client, functions)


def _need_litellm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a test's `error` filter must not turn warnings of LiteLLM's import into failures
        try:
            from parity.recording import sdk_objects  # noqa: F401
        except ImportError:
            pytest.skip(NO_LITELLM)

"""Runs the stub provider for tests: one server in a thread for all of them, its calls forgotten before each."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx import Client  # bound here, so that a test's patch of httpx leaves it alone

from parity.catalogue import loading
from parity.catalogue.loading import Catalogue
from parity.provider.control import CONTROL, Overview, ProviderCall
from parity.provider.server import serve_in_thread


@dataclass(frozen=True)
class PlayedProvider:
    """Holds the address of a running stub provider, and asks it what it received."""

    url: str

    def base_url(self, scenario: str = "") -> str:
        """Return the base URL for a client of OpenAI's API. With a scenario, whatever model is asked plays it."""
        return f"{self.url}/{scenario}/v1" if scenario else f"{self.url}/v1"

    @property
    def calls(self) -> list[ProviderCall]:
        """Return all calls of this test, in the order in which they came."""
        overview = Overview.model_validate_json(self._ask("GET"))
        return [received.call for received in overview.received]

    def forget(self) -> None:
        """Forget all calls; the replies of every scenario start over."""
        self._ask("DELETE")

    def _ask(self, method: str) -> bytes:
        with Client(trust_env=False, timeout=60, verify=False) as client:  # noqa: S501  # plain HTTP on loopback
            return client.request(method, f"{self.url}/{CONTROL}").raise_for_status().content


@dataclass
class _Servers:
    closing: ExitStack
    by_paths: dict[tuple[Path, ...], PlayedProvider]


_SERVERS = pytest.StashKey[_Servers]()


def served(config: pytest.Config, paths: tuple[Path, ...]) -> PlayedProvider:
    """Return the provider of these scenario files or folders, none for those that ship; it runs until pytest ends."""
    if _SERVERS not in config.stash:
        config.stash[_SERVERS] = servers = _Servers(ExitStack(), {})
        config.add_cleanup(servers.closing.close)
    servers = config.stash[_SERVERS]
    if paths not in servers.by_paths:
        catalogue = Catalogue.load(paths or (loading.BUILT_IN,))
        server = servers.closing.enter_context(serve_in_thread(catalogue))
        servers.by_paths[paths] = PlayedProvider(server.url)
    provider = servers.by_paths[paths]
    provider.forget()
    return provider

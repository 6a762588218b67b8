"""A port registry that somebody else has put there neither holds anything up nor reaches the terminal raw."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxies.cli import main
from proxies.interceptor.ports import PortRegistry, PortRegistryError
from proxies.support.terminal import printable


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_the_place_of_the_registry_is_refused(tmp_path: Path) -> None:
    """Nobody waits for what may never come: neither a read nor a change."""
    os.mkfifo(tmp_path / "ports.json")
    registry = PortRegistry(tmp_path / "ports.json")
    for read in (registry.mappings, registry.reset):
        with pytest.raises(PortRegistryError, match=r"ports\.json: can't be read: it is no regular file"):
            read()


def test_an_endless_registry_is_refused(tmp_path: Path) -> None:
    """It is read no further than any registry is long."""
    (tmp_path / "ports.json").write_bytes(b" " * (16 * 1024**2 + 1))
    with pytest.raises(PortRegistryError, match="larger than 16 MiB"):
        PortRegistry(tmp_path / "ports.json").mappings()


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"version": 1, "ports": {"/a\\ud800\\u001b[31m": 9}}'])
def test_a_registry_of_a_strangers_making_can_be_listed(
    raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a traceback, and without a character that a terminal would obey."""
    (tmp_path / "ports.json").write_bytes(raw)
    monkeypatch.setenv("PORT_REGISTRY_PATH", str(tmp_path / "ports.json"))
    for command in (["ports", "list"], ["ports", "check"], ["ports", "list", "--json"]):
        done = CliRunner().invoke(main, command)
        assert isinstance(done.exception, SystemExit | None)
        assert printable(done.output) == done.output

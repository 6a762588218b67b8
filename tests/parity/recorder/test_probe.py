"""LiteLLM alone, asked without a process: its functions in front of the stub, and a process that is made up."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from parity.catalogue import loading

probing = pytest.importorskip("parity.recorder.probe", reason="needs litellm", exc_type=ImportError)

PLAIN, EARLY = (
    loading.Catalogue.load([loading.BUILT_IN / theme / f"{name}.yaml"])[f"{theme}.{name}"]
    for theme, name in (("chat", "plain"), ("embeddings", "hang_up"))
)


def process_at(monkeypatch: pytest.MonkeyPatch, url: str | None = None) -> None:
    """Let the process be at this address, or where nobody listens."""
    started = probing.started

    @contextlib.asynccontextmanager
    async def without_process(scenarios: Any, *, process: bool) -> AsyncIterator[Any]:
        async with started(scenarios, process=False) as servers:
            yield dataclasses.replace(servers, litellm_url=url or servers.litellm_url)

    monkeypatch.setattr(probing, "started", without_process)


async def test_a_process_that_does_not_answer_spoils_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it hangs up without a word, it has no answer; what the function says is seen."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        process_at(monkeypatch, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        [probed] = await probing.probe(PLAIN)
    assert probed.process is None
    assert probed.sdk.value["object"] == "chat.completion"


async def test_a_function_that_never_ends_spoils_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a while, with no answer and what the provider was asked."""
    # Once before, so that what LiteLLM imports for its first call doesn't count.
    async with contextlib.aclosing(probing.probe_each([PLAIN], process=False)) as probes:
        assert [len(probed) async for _, probed in probes] == [1]
    monkeypatch.setattr(probing, "ANSWER_DEADLINE", 1.0)
    hangs = PLAIN.model_copy(update={"provider": EARLY.provider})
    async with contextlib.aclosing(probing.probe_each([hangs], process=False)) as probes:
        assert [[each.sdk for each in probed] async for _, probed in probes] == [[None]]


async def test_a_process_that_is_gone_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, nothing is said of LiteLLM: the probe fails."""
    process_at(monkeypatch)
    with pytest.raises(httpx.ConnectError):
        await probing.probe(PLAIN)


async def test_nobody_waits_for_an_answer_that_its_client_leaves() -> None:
    """A request whose client is gone before the provider answers is left out."""
    async with contextlib.aclosing(probing.probe_each([EARLY], process=False)) as probes:
        assert [probed async for _, probed in probes] == [[]]


async def test_what_is_counted_depends_on_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM is told to fetch no tokenizer: a count is the same wherever and whenever it is made."""
    monkeypatch.setattr(probing.litellm, "disable_hf_tokenizer_download", None)
    async with contextlib.aclosing(probing.probe_each([PLAIN], process=False)) as probes:
        assert [len(probed) async for _, probed in probes] == [1]
    assert probing.litellm.disable_hf_tokenizer_download is True

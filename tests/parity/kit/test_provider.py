"""The fixture `parity_provider`: what anyone's test gets from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from openai import OpenAI

from parity.kit.provider import PlayedProvider, served

MINE = """\
id: mine.hello
title: A promise.
provider: [{json: {choices: []}}]
client: [{json: {model: $model}}]
expect: {responses: [{status: 200}]}
"""


@pytest.fixture
def parity_scenarios(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "hello.yaml").write_text(MINE)
    return [folder]


def test_an_official_client_is_answered(parity_provider: PlayedProvider) -> None:
    """By the model, or by the base URL whatever the model; and each call is told."""
    for base, model in (
        (parity_provider.base_url(), "mine.hello"),
        (parity_provider.base_url("mine.hello"), "x"),
    ):
        with OpenAI(base_url=base, api_key="any", max_retries=0) as client:
            client.chat.completions.create(model=model, messages=[])
    assert [call.body["model"] for call in parity_provider.calls] == ["mine.hello", "x"]
    assert {call.route for call in parity_provider.calls} == {"POST /v1/chat/completions"}


def test_each_test_starts_without_calls(
    parity_provider: PlayedProvider, parity_scenarios: list[Path], pytestconfig: pytest.Config
) -> None:
    """One server for all tests that play the same scenarios; nothing is left of the one before."""
    with OpenAI(base_url=parity_provider.base_url("mine.hello"), api_key="any", max_retries=0) as client:
        client.chat.completions.create(model="x", messages=[])
    assert len(parity_provider.calls) == 1
    assert served(pytestconfig, tuple(parity_scenarios)) is parity_provider
    assert parity_provider.calls == []

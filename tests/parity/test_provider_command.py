"""`parity provider` as a process: its first line, its answers, its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import anthropic
import groq
import httpx
import openai
import pytest
from click.testing import CliRunner

from parity.cli import main
from parity.provider.server import refused_url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The base URL of a provider with the built-in scenarios, which ends on SIGTERM with exit code 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "parity.cli", "provider", "--default", "chat.plain"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    word, on, address = process.stdout.readline().split()
    assert (word, on) == ("listening", "on")
    yield address
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert f"scenarios; GET {address}/_control lists them" in said


MESSAGES = [{"role": "user", "content": "Hello?"}]


def test_three_official_clients_are_answered(url: str) -> None:
    """OpenAI's, Anthropic's and Groq's, each in its own wire, the scenario told as the model."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any") as one:
        said = one.chat.completions.create(model="chat.plain", messages=MESSAGES)  # type: ignore[arg-type]
        assert said.choices[0].message.content
    with anthropic.Anthropic(base_url=url, api_key="any") as other:
        heard = other.messages.create(model="messages.plain", max_tokens=9, messages=MESSAGES)  # type: ignore[arg-type]
        assert heard.type == "message"
    with groq.Groq(base_url=url, api_key="any") as third:
        told = third.chat.completions.create(model="chat.groq", messages=MESSAGES)  # type: ignore[arg-type]
        assert told.choices[0].message.content
    received = httpx.get(f"{url}/_control", trust_env=False).json()["received"]
    assert [r["call"]["route"] for r in received][-3:] == [
        "POST /v1/chat/completions",
        "POST /v1/messages",
        "POST /openai/v1/chat/completions",
    ]


def test_who_names_no_scenario_gets_the_default(url: str) -> None:
    """As `--default` says."""
    answer = httpx.post(f"{url}/v1/chat/completions", json={"model": "gpt-4o"}, trust_env=False)
    assert answer.json()["object"] == "chat.completion"


def test_a_port_that_is_taken_is_told() -> None:
    """With exit code 2 and the way out; so is a default that is no scenario."""
    with refused_url() as taken:
        port = taken.rpartition(":")[2]
        done = CliRunner().invoke(main, ["provider", "--port", port])
    assert done.exit_code == 2
    assert f"can't listen on 127.0.0.1:{port}: " in done.output
    assert "--port 0 takes a free port" in done.output
    done = CliRunner().invoke(main, ["provider", "--default", "chat.plian"])
    assert done.exit_code == 2
    assert "did you mean chat.plain" in done.output


def test_a_default_need_not_be_chosen() -> None:
    """`-k` chooses among the others."""
    with refused_url() as taken:
        port = taken.rpartition(":")[2]
        arguments = ["provider", "--default", "chat.plain", "-k", "models.one", "--port", port]
        done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "can't listen on" in done.output

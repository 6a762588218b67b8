from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from proxies.binary import process as litellm_process
from proxies.binary.process import LiteLLMProcess, LiteLLMProcessError, find_command
from proxies.config.models import ProxyConfig
from tests.processes import gone
from tests.proxies import fake_litellm
from tests.proxies.bodies import COMPLETION, MESSAGE
from tests.root import ROOT

KEY = "sk-a-key-of-the-tests"


def _config(**sections: Any) -> ProxyConfig:
    general = {"master_key": KEY, **sections.pop("general_settings", {})}
    models = sections.pop(
        "model_list", [{"model_name": "gpt", "litellm_params": {"model": "openai/x", "api_key": "stub"}}]
    )
    return ProxyConfig(model_list=models, general_settings=general, **sections)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """A litellm that starts at once; the result tells what it was started with."""
    return fake_litellm.install(tmp_path, monkeypatch)


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)


async def test_start_and_stop(fake: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    """Inside the context it answers to its own key; afterwards process and private copy are gone."""
    process = LiteLLMProcess(_config())
    assert not process.alive
    async with process:
        assert process.alive
        assert process.reason == ""
        async with httpx.AsyncClient(base_url=process.url, trust_env=False) as client:
            answer = await client.get("/v1/models", headers={"authorization": f"Bearer {process.key}"})
        assert answer.status_code == 200
        seen = fake()
        path = Path(seen["argv"][seen["argv"].index("--config") + 1])
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not process.alive
    assert gone(seen["pid"])
    assert not path.parent.exists()
    assert process.key not in seen["config"]
    assert KEY not in seen["config"]
    assert process.key not in str(seen["argv"])
    await process.stop()


async def test_it_is_warmed_without_calling_a_provider(fake: Callable[[], Any], tmp_path: Path) -> None:
    """The warm-up goes to models of its own, at a port where nobody listens."""
    async with LiteLLMProcess(_config()):
        warmed = (tmp_path / "seen.models").read_text().split()
        written = YAML(typ="safe", pure=True).load(fake()["config"])
    bases = {d["model_name"]: d["litellm_params"].get("api_base", "") for d in written["model_list"]}
    assert warmed == ["memory-proxy-warm-up-openai", "memory-proxy-warm-up-anthropic"]
    assert all(bases[name].startswith("http://127.0.0.1:") for name in warmed)


async def test_no_warm_up_where_failures_are_reported(fake: Callable[[], Any], tmp_path: Path) -> None:
    """With callbacks configured no failing call is made up: somebody would be told of it."""
    async with LiteLLMProcess(_config(litellm_settings={"failure_callback": ["slack"]})):
        assert not (tmp_path / "seen.models").exists()
        assert "warm-up" not in fake()["config"]


async def test_a_process_that_ends_at_once_says_why(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last lines are in the error, without its key."""
    monkeypatch.setenv("FAKE_LITELLM", "dies")
    process = LiteLLMProcess(_config())
    with pytest.raises(LiteLLMProcessError, match=r"exit code 1(.|\n)*no fastapi here") as caught:
        await process.start()
    assert "starting with master key ***" in str(caught.value)
    assert process.key not in str(caught.value)
    assert not process.alive


async def test_a_process_that_never_answers_is_given_up(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the deadline it is stopped, and the error says how long was waited."""
    monkeypatch.setenv("FAKE_LITELLM", "hangs")
    with pytest.raises(LiteLLMProcessError, match="not ready within 5 s"):
        await LiteLLMProcess(_config(), deadline=5).start()
    assert gone(fake()["pid"])


async def test_a_port_taken_meanwhile_is_no_failure(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When another has the port by then, a second one is tried."""
    monkeypatch.setenv("FAKE_LITELLM", "taken")
    async with LiteLLMProcess(_config()) as process:
        assert process.alive


async def test_a_process_that_dies_later_is_noticed(fake: Callable[[], dict[str, Any]]) -> None:
    """`ended` returns, `alive` turns false, `reason` names the signal, and what it said last is kept."""
    async with LiteLLMProcess(_config()) as process:
        ended = asyncio.create_task(process.ended())
        os.kill(fake()["pid"], signal.SIGKILL)
        async with asyncio.timeout(10):
            await ended
        assert not process.alive
        assert process.reason == "the LiteLLM process was ended by SIGKILL"
        assert process.last_lines == ["starting with master key ***"]


async def test_a_process_that_dies_while_it_is_warmed_says_why(
    fake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends in the middle of the warm-up is an error like any other, with its last lines."""
    monkeypatch.setenv("FAKE_LITELLM", "dies warming")
    with pytest.raises(LiteLLMProcessError, match=r"exit code 3(.|\n)*cannot bear it") as caught:
        await LiteLLMProcess(_config()).start()
    assert caught.value.what == "the LiteLLM process ended with exit code 3"


async def test_its_output_is_logged_and_never_printed(
    fake: Callable[[], Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Debug lines of ours, redacted; stdout and stderr stay ours."""
    caplog.set_level(logging.DEBUG, logger="proxies.binary.process")
    async with LiteLLMProcess(_config()):
        pass
    assert "litellm: starting with master key ***" in caplog.text
    out, err = capfd.readouterr()
    assert "starting with" not in out + err


def test_it_never_outlives_us(fake: Callable[[], dict[str, Any]], tmp_path: Path) -> None:
    """Even when our own process is killed outright, the LiteLLM process ends, and its copy is removed."""
    parent = textwrap.dedent(f"""
        import asyncio, sys
        from proxies.binary import process as litellm_process
        from proxies.config import ProxyConfig
        litellm_process.find_command = lambda: [sys.executable, "-c", litellm_process._BOOT]
        async def main():
            config = ProxyConfig(
                model_list=[{{"model_name": "a", "litellm_params": {{"model": "openai/x"}}}}],
                general_settings={{"master_key": {KEY!r}}},
            )
            async with litellm_process.LiteLLMProcess(config):
                print("up", flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
    """)
    root = str(ROOT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root])}
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        running.kill()
    seen = fake()
    _wait_until(lambda: gone(seen["pid"]))
    assert not Path(seen["argv"][seen["argv"].index("--config") + 1]).parent.exists()


async def test_it_can_be_started_again(fake: Callable[[], Any]) -> None:
    """After `stop` a second `start` works; while it runs it doesn't."""
    process = LiteLLMProcess(_config())
    with pytest.raises(LiteLLMProcessError, match="not been started"):
        _ = process.url
    for _ in range(2):
        await process.start()
        with pytest.raises(LiteLLMProcessError, match="already"):
            await process.start()
        await process.stop()


def test_without_litellm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither importable nor on PATH: the sentence names the extra."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(LiteLLMProcessError, match=r"pip install 'proxy-parity\[live\]'"):
        find_command()
    monkeypatch.setattr("shutil.which", lambda name: "/somewhere/litellm")
    assert find_command()[-1] == "/somewhere/litellm"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_another_environments_litellm_never_outlives_us(tmp_path: Path, number: signal.Signals) -> None:
    """A console script on PATH ends with us too, whether we are killed or it is asked to end."""
    (tmp_path / "copy").mkdir()
    script = tmp_path / "litellm"
    script.write_text(
        f"#!{sys.executable}\nimport os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"
    )
    script.chmod(0o755)
    command = [
        sys.executable,
        "-c",
        litellm_process._BOOT_SCRIPT,
        script,
        "--config",
        tmp_path / "copy" / "c.yaml",
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        if number == signal.SIGKILL:
            running.stdin.close()  # what the kernel does when we are killed
        else:
            os.killpg(running.pid, number)
        _wait_until(lambda: gone(pid))
        assert running.wait(10) == (-signal.SIGKILL if number == signal.SIGKILL else 128 + signal.SIGTERM)
    assert (tmp_path / "copy").exists() == (number == signal.SIGTERM)


@pytest.mark.live
@pytest.mark.timeout(120)
async def test_a_real_litellm_answers_through_a_stub_provider() -> None:
    """A real process on our recipe: both providers reached once a call, user id forwarded, no retry."""
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("needs litellm[proxy]")
    calls: list[tuple[str, str | None]] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(headers.get("content-length", 0)))
        path = head.split()[1]
        if head.startswith("POST"):
            calls.append((path, headers.get("x-sm-user-id")))
        body = json.dumps(MESSAGE if path.endswith("/messages") else COMPLETION).encode()
        status = "429 Too Many Requests" if "/busy" in path else "200 OK"
        answer = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{answer}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(provider, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    models = {
        "gpt": {"model": "openai/gpt-4o-mini", "api_base": f"{base}/v1"},
        "busy": {"model": "openai/gpt-4o-mini", "api_base": f"{base}/busy"},
        "claude": {"model": "anthropic/claude-sonnet-4-5", "api_base": base},
    }
    config = _config(
        model_list=[
            {"model_name": name, "litellm_params": {**params, "api_key": "stub-key"}}
            for name, params in models.items()
        ]
    )
    statuses = {}
    async with server, LiteLLMProcess(config) as process:
        assert calls == []
        headers = {"authorization": f"Bearer {process.key}", "x-sm-user-id": "ann"}
        async with httpx.AsyncClient(
            base_url=process.url, headers=headers, trust_env=False, timeout=30
        ) as client:
            for name in models:
                body = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
                statuses[name] = (await client.post("/v1/chat/completions", json=body)).status_code
            wrong = await client.get("/v1/models", headers={"authorization": "Bearer sk-wrong"})
    assert statuses == {"gpt": 200, "busy": 429, "claude": 200}
    assert calls == [
        ("/v1/chat/completions", "ann"),
        ("/busy/chat/completions", "ann"),
        ("/v1/messages", "ann"),
    ]
    assert wrong.status_code in (400, 401)

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxies.front.app import build_app
from proxies.front.observing import logs
from proxies.support.redact import register_secret
from proxies.upstream_errors import upstream_error
from tests.proxies.front.fakes import KEY, Exchange, FakeBackend, make_config
from tests.root import ROOT

AUTH = {"authorization": f"Bearer {KEY}"}
CHAT = "/v1/chat/completions"
ASKED = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
LITELLM = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")


class Output:
    """All that was written to stderr so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._captured.readouterr().err
        return self._text

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        return [record for record in self.records() if record["logger"] == "proxies.requests"]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """Logging as it was, afterwards."""
    root = logging.getLogger()
    names = (*LITELLM, "httpcore", "httpx", "hpack", "openai", "anthropic")
    levels = {name: logging.getLogger(name).level for name in names}
    before = (root.level, root.handlers[:])
    # `basicConfig` closes and removes handlers, which are pytest's.
    root.handlers.clear()
    yield Output(capsys)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.captureWarnings(False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for name in LITELLM:
        logging.getLogger(name).removeFilter(logs._by_our_handler)


async def ask(backend: FakeBackend, path: str = CHAT, method: str = "POST", **options: Any) -> httpx.Response:
    app = build_app(make_config(), backend)
    options.setdefault("headers", AUTH)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proxy") as client:
        return await client.request(method, path, **options)


async def test_a_request_is_one_line(output: Output) -> None:
    """At its end, with who asked for what, what came of it, and how long everything took."""
    logs.configure("info", "json")
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    backend = FakeBackend(reply={"usage": usage}, headers={"x-request-id": "req_1"})
    sent = {**AUTH, "x-request-id": "mine-1", "x-memory-user-id": "ann"}
    await ask(backend, f"{CHAT}?beta=true", json=ASKED, headers=sent)
    [line] = output.records()
    times = {name: line.pop(name) for name in ("total_ms", "upstream_ms", "overhead_ms")}
    assert all(isinstance(value, float) and value >= 0 for value in times.values())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "proxies.requests",
        "message": f"POST {CHAT} 200",
        "request_id": "mine-1",
        "method": "POST",
        "route": CHAT,
        "status": 200,
        "outcome": "ok",
        "user_id": "ann",
        "model": "fast",
        "upstream_status": 200,
        "upstream_request_id": "req_1",
        "input_tokens": 3,
        "output_tokens": 5,
    }


async def test_a_stream_that_fails(output: Output) -> None:
    """It has one line, too, with its first token and the failure."""
    logs.configure("info", "json")
    failure = upstream_error(503, "down", answered=True)
    await ask(FakeBackend(chunks=[{"a": 1}, failure]), json={**ASKED, "stream": True})
    [line] = output.requests()
    assert line["outcome"] == "stream_failed"
    assert (line["status"], line["upstream_status"], line["error_type"]) == (200, 503, "overloaded_error")
    assert line["stream"] is True
    assert 0 < line["first_token_ms"] <= line["total_ms"]


async def test_a_client_that_goes_away(output: Output) -> None:
    """It has its line as well: 499, `client_disconnected`."""
    logs.configure("info", "json")
    backend = FakeBackend(hang=True)
    exchange = Exchange(build_app(make_config(), backend), CHAT, json.dumps(ASKED).encode(), AUTH)
    await backend.called.wait()
    exchange.disconnect()
    await exchange.end()
    [line] = output.requests()
    assert (line["status"], line["outcome"]) == (499, "client_disconnected")
    assert "upstream_status" not in line


async def test_other_lines_of_a_request_have_its_id(output: Output) -> None:
    """So a traceback is found by the id in the request's line, in either format."""
    logs.configure("info", "json")
    await ask(FakeBackend(error=KeyError("bug")), json=ASKED)
    bug, line = output.records()
    assert "KeyError" in bug["message"]
    assert bug["request_id"] == line["request_id"]


async def test_text(output: Output) -> None:
    """The same for people: the id in front of what is said, the rest behind it."""
    logs.configure("info")
    sent = {**AUTH, "x-request-id": "mine-1"}
    await ask(FakeBackend(error=KeyError("bug")), json=ASKED, headers=sent)
    assert f"ERROR proxies: [mine-1] POST {CHAT} failed\nTraceback" in output.text
    end = (
        f"INFO proxies.requests: [mine-1] POST {CHAT} 500 method=POST route={CHAT} status=500 outcome=failed "
    )
    assert end in output.text


async def test_nothing_looks_like_another_line(output: Output) -> None:
    """Whatever a client sends, a line stays a line and a field a field."""
    logs.configure("info")
    await ask(FakeBackend(), "/a%0A2026-01-01%20INFO%20forged", "GET")
    forged = "x status=200\u2028\n"
    await ask(FakeBackend(), json={**ASKED, "model": forged})
    first, second = output.text.splitlines()
    assert 'path="/a\\n2026-01-01 INFO forged"' in first
    assert 'model="x status=200\\u2028\\n"' in second


async def test_no_secret_gets_in(output: Output) -> None:
    """Neither the query, nor a header, nor a key in the wrong place, nor a library's extras."""
    logs.configure("debug", "json")
    register_secret("hunter22-hunter22")
    sent = {**AUTH, "x-memory-user-id": "hunter22-hunter22", "x-request-id": "sk-hunter22"}
    await ask(FakeBackend(reply={}), f"{CHAT}?key=hunter22", json=ASKED, headers=sent)
    await ask(FakeBackend(), json={**ASKED, "model": "sk-hunter22-hunter22"})
    await ask(FakeBackend(), "/sk-hunter22-hunter22", "GET")
    logging.getLogger("a.library").warning("key sk-hunter22", extra={"key": "hunter22"})
    try:
        raise ValueError("api_key=hunter22")
    except ValueError:
        logging.getLogger("a.library").exception("failed")
    assert len(output.requests()) == 3
    assert "hunter22" not in output.text
    assert KEY not in output.text
    assert "ValueError: api_key=***" in output.records()[-1]["exception"]


async def test_long_text_is_cut(output: Output) -> None:
    """A client can't fill the disk with its model's name."""
    logs.configure("info", "json")
    await ask(FakeBackend(), json={**ASKED, "model": "long-" * 100})
    assert len(output.requests()[0]["model"]) == 256


async def test_what_asks_about_the_proxy_is_for_debugging(output: Output) -> None:
    """Probes and scrapes come every few seconds, and say nothing about traffic."""
    logs.configure("info", "json")
    await ask(FakeBackend(), "/health", "GET")
    assert output.text == ""
    logging.getLogger().setLevel("DEBUG")
    await ask(FakeBackend(), "/health", "GET")
    assert [line["level"] for line in output.requests()] == ["DEBUG"]


async def test_a_higher_level_has_no_request_lines(output: Output) -> None:
    """`warning` leaves what went well to the metrics."""
    logs.configure("warning", "json")
    await ask(FakeBackend(), json=ASKED)
    assert output.text == ""


@pytest.mark.parametrize(
    ("level", "expected"),
    [("debug", "de|in|wa|er"), ("info", "wa|er"), ("warning", "wa|er"), ("error", "er")],
)
def test_litellm_s_lines_are_written_once(output: Output, level: str, expected: str) -> None:
    """By our handler alone, whatever handlers it brings; below warnings only for debugging."""
    logs.configure(level, "json")
    logs.configure(level, "json")
    own = logging.StreamHandler(sys.stderr)
    for name in LITELLM:
        logger = logging.getLogger(name)
        logger.addHandler(own)
        try:
            for say, what in ((logger.debug, "de"), (logger.info, "in"), (logger.warning, "wa")):
                say(what)
            logger.error("er sk-hunter22")
        finally:
            logger.removeHandler(own)
    each = [line["message"] for line in output.records()]
    assert each == [what.replace("er", "er ***") for what in expected.split("|")] * 3


def test_warnings_are_records_where_logs_are_json(output: Output) -> None:
    """Or a line that is no JSON would stand among the others."""
    import warnings

    logs.configure("warning", "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("beware", stacklevel=1)
    [line] = output.records()
    assert line["logger"] == "py.warnings"
    assert "beware" in line["message"]


@pytest.mark.parametrize("level", ["debug", "error"])
def test_announcements(output: Output, level: str) -> None:
    """What must be said in any case is said in the format of the rest."""
    logs.configure(level, "json")
    logs.announce("listening on http://h:1")
    assert [(line["level"], line["message"]) for line in output.records()] == [
        ("INFO", "listening on http://h:1")
    ]
    logs.configure(level)
    logs.announce("listening on http://h:1")
    assert output.text.splitlines()[-1] == "listening on http://h:1"


def test_a_proxy_that_logs_as_json(tmp_path: Path) -> None:
    """From its announcement to its end each line is an object, each request one line, and no query is in it."""
    config = {
        "model_list": [{"model_name": "gpt", "litellm_params": {"model": "openai/x", "api_key": "stub"}}],
        "general_settings": {"master_key": KEY},
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    options = {
        "--config": str(tmp_path / "config.yaml"),
        "--port": "0",
        "--litellm-url": "http://127.0.0.1:1",
        "--log-format": "json",
    }
    command = [
        sys.executable,
        "-m",
        "proxies",
        "binary",
        *(word for pair in options.items() for word in pair),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    records: list[dict[str, Any]] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        assert process.stderr is not None
        for line in process.stderr:
            records.append(json.loads(line))
            if found := re.search(r"listening on (http://\S+)$", records[-1]["message"]):
                answer = httpx.get(f"{found[1]}/v1/models?key=hunter22", headers=AUTH, trust_env=False)
                assert answer.status_code == 200
                process.send_signal(signal.SIGTERM)
        watchdog.cancel()
    [line] = [record for record in records if record.get("route") == "/v1/models"]
    assert (line["logger"], line["status"]) == ("proxies.requests", 200)
    assert "hunter22" not in json.dumps(records)

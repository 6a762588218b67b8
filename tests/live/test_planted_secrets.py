"""Secrets are planted wherever a run may meet one, and looked for in all that it leaves behind."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.live.planted import Planted, forms, provider
from tests.root import ROOT

LISTENING = re.compile(r"(?:listening on|^interceptor) +(http://127\.0\.0\.1:\d+)", re.MULTILINE)
STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
ORDERS = (
    "ok",
    *(f"status {status}" for status in STATUSES),
    "garbage",
    "page",
    "reset",
    "cut",
    "late",
    "forget",
)


class World:
    """The planted secrets, the provider that gives them away, and a config that holds the rest."""

    def __init__(self, folder: Path, url: str, planted: Planted) -> None:
        self.folder, self.url, self.planted = folder, url, planted
        self.master_key = planted.new("the master key", "sk-master-{}")
        self.environment = {
            "PLANTED_PROVIDER_KEY": planted.new("the provider's key", "pk.{}"),
            "PLANTED_STORE_KEY": planted.new("the store's key", "sm_{}"),
            "PLANTED_TOKEN": planted.new("a token in extra_headers", "tok.{}"),
            "PLANTED_GENERAL": planted.new("a variable of environment_variables"),
        }
        host = url.removeprefix("http://")
        user = quote(planted.new("a user's name in an address"), safe="")
        password = quote(planted.new("a password in an address"), safe="")
        stored = quote(planted.new("a password in the store's address"), safe="")
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        query = quote(planted.new("a key in an address"), safe="")
        key = "os.environ/PLANTED_PROVIDER_KEY"
        anthropic = {"model": "anthropic/claude-3-5-haiku-20241022", "timeout": 0.8}
        openai = {"model": "openai/gpt-4o-mini", "timeout": 0.8}
        extra = {"x-planted-token": "os.environ/PLANTED_TOKEN"}
        deployments = {
            "openai": {**openai, "api_key": key, "api_base": f"{url}/v1", "extra_headers": extra},
            "anthropic": {**anthropic, "api_key": planted.new("a key in the file", "ak.{}"), "api_base": url},
            "userinfo": {**openai, "api_key": key, "api_base": f"http://{user}:{password}@{host}/v1"},
            "refused": {
                **openai,
                "api_key": key,
                "api_base": f"http://{user}:{password}@{nobody}/v1?key={query}",
            },
            "refused-anthropic": {
                **anthropic,
                "api_key": key,
                "api_base": f"http://{user}:{password}@{nobody}",
            },
        }
        self.models = tuple(deployments)
        self.document = {
            "model_list": [
                {"model_name": name, "litellm_params": params} for name, params in deployments.items()
            ],
            "general_settings": {"master_key": self.master_key},
            "litellm_settings": {"set_verbose": True},
            "limits": {"max_concurrent_requests": 2},
            "context_retrieval": {
                "enabled": True,
                "api_key": "os.environ/PLANTED_STORE_KEY",
                "base_url": f"http://store:{stored}@{host}",
                "timeout": 1.0,
            },
        }
        self.config = folder / "config.yaml"
        self.config.write_text(json.dumps(self.document))
        self.client = {
            "cookie": f"session={planted.new('a cookie of the client')}",
            "x-goog-api-key": planted.new("a key in another header"),
            "proxy-authorization": f"Basic {planted.new('a proxy password of the client')}",
        }

    def run(self, *arguments: str, module: str = "proxies") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", f"from {module}.cli import main; main()", *arguments],
            capture_output=True,
            text=True,
            env=self.variables(),
            cwd=self.folder,
            timeout=120,
        )

    def variables(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.environment,
            "LITELLM_LOG": "DEBUG",
            "PYTHONPATH": str(ROOT),
            "PARITY_API_KEY": self.master_key,
            "PARITY_CACHE": str(self.folder / "cache"),
            "INTERCEPTOR_PORT": "0",
            "PORT_REGISTRY_PATH": str(self.folder / "ports.json"),
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    planted = Planted()
    hints = {
        "password": quote(planted.new("a password in an error"), safe=""),
        "query": planted.new("a key in an error's address"),
        "token": planted.new("a token in an error", "sk-other-{}", between="-"),
        "bearer": planted.new("a bearer in an error"),
    }
    with provider(planted.new("a cookie of the provider"), hints) as url:
        yield World(tmp_path, url, planted)


@pytest.mark.parametrize(
    ("command", "log_format"),
    [("binary", "text"), ("start", "json"), ("sdk", "json"), ("sdk", "text")],
    ids=lambda value: value,
)
@pytest.mark.timeout(300)
def test_nothing_of_a_served_proxy_holds_a_secret(world: World, command: str, log_format: str) -> None:
    """Traffic of every kind, and no log line, metric, header or error of the proxy has any of the secrets.

    `start` is asked through the interceptor of a project. The two formats of an arm's log share its traffic: each has
    every order, model, API and kind of answer, and every combination is one's.
    """
    log = world.folder / "log"
    project = ("--interceptor", str(world.folder)) if command == "start" else ()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "proxies", command, "--config", str(world.config), "--port", "0"),
                *("--log-level", "debug", "--log-format", log_format, *project),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=world.variables(),
            cwd=world.folder,
        )
    watchdog = threading.Timer(280, process.kill)
    watchdog.start()
    try:
        url = _listening(process, log)
        with httpx.Client(base_url=url, trust_env=False, timeout=20, headers=world.client) as client:
            answers = list(_traffic(world, client, half=log_format == "json"))
    finally:
        process.terminate()
        process.wait(30)
        watchdog.cancel()
    said = log.read_text(errors="replace")
    transcript = "\n".join(answers)
    found = world.planted.found_in(transcript) + world.planted.found_in(said)
    assert not found, "\n".join(found)
    # What was searched is what was meant: the calls were made, the failures told, the logs at their most talkative.
    assert {int(status) for status in re.findall(r"^(\d{3}) ", transcript, re.MULTILINE)} >= {
        200,
        *STATUSES,
    } - {408}
    assert said.count("chat/completions") > 50
    assert "memory_proxy_requests_total" in transcript


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := LISTENING.search(log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"it did not listen: {log.read_text(errors='replace')[-3000:]}")


def _traffic(world: World, client: httpx.Client, half: bool) -> Iterator[str]:
    """Ask, and yield each answer; of the combinations that differ in one thing, one is in this half."""
    key = {"authorization": f"Bearer {world.master_key}", "x-memory-user-id": "ann"}
    wrong = world.planted.new("a wrong key of a client")
    asked = {"model": "openai", "messages": [{"role": "user", "content": "do: ok."}]}

    def told(answer: httpx.Response) -> str:
        return f"{answer.status_code} {dict(answer.headers)}\n{answer.text}"

    for (number, model), path, stream, order in itertools.product(
        enumerate(world.models), ("/v1/chat/completions", "/v1/messages"), (False, True), ORDERS
    ):
        if (number + (path == "/v1/messages") + stream) % 2 != half:
            continue
        if model in ("refused", "refused-anthropic", "userinfo") and order not in (
            "ok",
            "status 401",
            "forget",
        ):
            continue
        body = {
            "model": model,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": f"do: {order}."}],
            **({"stream": True} if stream else {}),
        }
        yield told(client.post(path, json=body, headers=key))
    yield told(
        client.post(
            "/v1/chat/completions",
            json={**asked, "messages": [{"role": "user", "content": "do: hang."}]},
            headers=key,
        )
    )
    for headers in ({"authorization": f"Bearer {wrong}"}, {"x-api-key": wrong}, {"authorization": wrong}, {}):
        yield told(client.post("/v1/chat/completions", json=asked, headers=headers))
    for query in ("key", "api_key", "access_token", "token", "password"):
        value = world.planted.new(f"a {query} in a query")
        yield told(client.post("/v1/chat/completions", json=asked, headers=key, params={query: value}))
        yield told(
            client.post(
                "/v1/embeddings", json={"model": "openai", "input": "x"}, headers=key, params={query: value}
            )
        )
        yield told(client.get("/health", params={query: value}))
        yield told(client.get("/nothing", headers=key, params={query: value}))
    for body in (
        b"{",
        b"[]",
        json.dumps({**asked, "api_key": wrong}).encode(),
        json.dumps({**asked, "model": world.master_key}).encode(),
    ):
        yield told(client.post("/v1/chat/completions", content=body, headers=key))
    yield told(client.get(f"/v1/models/{world.master_key}", headers=key))
    yield told(client.get(f"/{world.master_key}", headers=key))
    yield told(
        client.post("/v1/chat/completions", json=asked, headers={**key, "x-memory-user-id": "a\x01" + wrong})
    )
    yield told(client.post("/v1/chat/completions", json=asked, headers={**key, "x-filler": wrong * 1500}))
    for path in ("/health?sessions", "/health/readiness", "/memory-routing/info", "/metrics", "/v1/models"):
        yield told(client.get(path, headers=key))


@pytest.mark.parametrize("output", [[], ["--json"]], ids=["text", "json"])
def test_check_holds_no_secret(world: World, output: list[str]) -> None:
    """`memory-proxy check` tells whether keys are there, and never a key; of a broken config, neither."""
    done = world.run("check", "--config", str(world.config), *output)
    assert done.returncode in (0, 1), done.stderr
    assert "PLANTED_PROVIDER_KEY" in done.stdout
    assert world.planted.found_in(done.stdout + done.stderr) == []

    world.document["general_settings"]["max_request_size_mb"] = world.planted.new(
        "a secret in the wrong place", "sk-{}"
    )  # type: ignore[index]
    world.document["limits"] = {"max_headers": world.master_key}
    world.document["context_retrieval"]["store"] = world.planted.new("a key as the store's name", "sk-{}")  # type: ignore[index]
    world.config.write_text(json.dumps(world.document))
    done = world.run("check", "--config", str(world.config), *output)
    assert done.returncode == 2
    assert world.planted.found_in(done.stdout + done.stderr) == []


def test_a_search_finds_what_it_looks_for() -> None:
    """Each form of a secret is found in a text around it."""
    planted = Planted()
    value = planted.new("one", "sk-{}")
    assert planted.found_in("nothing here") == []
    for kind, form in forms(value):
        assert planted.found_in(f"before {form} after"), kind


def test_nothing_that_the_harness_writes_holds_a_secret(world: World) -> None:
    """Observations and reports of a run, and the terminal, have no secret; recordings those that a scenario writes."""
    hints = {name: world.planted.values[f"a {name} in an error"] for name in ("token", "bearer")}
    password = quote(world.planted.values["a password in an error"], safe="")
    cookie = world.planted.values["a cookie of the provider"]
    sentence = (
        f"Incorrect API key provided: {hints['token']}. Authorization: Bearer {hints['bearer']}, "
        f"see http://somebody:{password}@example.com/, 'cookie': 'session={cookie}'"
    )
    error = {"message": sentence, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    asked = {"model": "$model", "messages": [{"role": "user", "content": "do: status 401."}]}
    scenario = {
        "id": "planted.secrets",
        "title": "A provider gives secrets away.",
        "cases": {"refused": {"status": 401}, "failed": {"status": 500}},
        "provider": [
            {
                "status": "$status",
                "headers": {"set-cookie": f"cf_clearance={cookie}"},
                "json": {"error": error},
            }
        ],
        "client": [{"json": asked, "headers": world.client}],
        # Wrong on purpose, so that whole answers are shown.
        "expect": {"responses": [{"status": 200, "json": {"choices": []}}]},
    }
    scenarios = world.folder / "scenarios" / "planted"
    scenarios.mkdir(parents=True)
    (scenarios / "secrets.yaml").write_text(json.dumps(scenario))
    out = world.folder / "out"
    catalogue = ("--scenarios", str(scenarios.parent))
    runs = [
        world.run("run", *catalogue, "--report", str(out / "run"), module="parity"),
        # The provider itself as a target: nothing of ours has redacted what it says.
        *(
            world.run(
                *("observe", "--target", f"{world.url}/{name}", "--name", name, "--model", "m", *catalogue),
                *("--out", str(out / f"{name}.jsonl")),
                module="parity",
            )
            for name in ("before", "after")
        ),
        world.run(
            *(
                "diff",
                str(out / "before.jsonl"),
                str(out / "after.jsonl"),
                "--report",
                str(out / "diff"),
                *catalogue,
            ),
            module="parity",
        ),
        world.run("show", "planted.secrets[refused]", *catalogue, module="parity"),
    ]
    said = "\n".join(f"exit code {run.returncode}\n{run.stdout}\n{run.stderr}" for run in runs)
    written = [
        path for folder in (out, world.folder / "cache") for path in folder.rglob("*") if path.is_file()
    ]
    # 2 says that most of what was observed is a failure, as it is here.
    assert all(run.returncode in (0, 1, 2) for run in runs), said
    assert {path.suffix for path in written} >= {".json", ".jsonl", ".md", ".html", ".xml"}
    found = world.planted.found_in(said)
    for path in written:
        text = path.read_text()
        if path.is_relative_to(world.folder / "cache"):
            # A recording says what the provider of its scenario says, word for word, or it would prove nothing.
            for word in (*hints.values(), password, cookie):
                text = text.replace(word, "")
        found += [f"{path.relative_to(world.folder)}: {leak}" for leak in world.planted.found_in(text)]
    assert not found, "\n".join(found)

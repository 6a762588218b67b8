"""What `memory-proxy check` says of a config: the facts, the exit code, and no secret."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from starlette.datastructures import Headers

from proxies import cli
from proxies.commands.check import checked, headers_of
from proxies.commands.check_report import show
from proxies.config.loading import load_config
from proxies.front.families import FAMILIES

CONFIG = """\
model_list:
  - model_name: fast
    litellm_params: {model: openai/a, api_key: os.environ/CHECK_KEY, weight: 2}
  - model_name: fast
    litellm_params: {model: groq/b, api_base: "https://ann:hunter22@example.com:8443/v1?key=hunter33"}
  - model_name: calm
    litellm_params: {model: anthropic/c, api_base: "https://api.supermemory.ai/v3"}
    model_info: {context_retrieval: {enabled: false}}
general_settings: {master_key: sk-of-the-tests-0123456789}
router_settings:
  fallbacks: [{fast: [calm]}]
  default_fallbacks: [fast]
litellm_settings: {context_window_fallbacks: [{"*": [calm]}]}
context_retrieval: {enabled: true, api_key: sm_0123456789abcdef, base_url: "https://u:hunter44@memory.example"}
user_id_mappings:
  header_patterns: [{header: x-ide, pattern: "^fleet", user_id: fleet}]
limits: {max_concurrent_requests: 7}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHECK_KEY", "a-key-in-the-environment")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another-key")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def found(config: Path) -> dict[str, Any]:
    return checked(load_config(config), [headers_of("X-IDE: Fleet/2"), headers_of("x-memory-user-id: José")])


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["check", *map(str, arguments)])


def test_models(found: dict[str, Any]) -> None:
    """Each model with its deployments, where their keys come from, who stands in, and its memories."""
    fast, calm = found["models"]
    assert [(d["model"], d["provider"], d["weight"], d["key"]) for d in fast["deployments"]] == [
        ("openai/a", "openai", 2, "given"),
        ("groq/b", "groq", None, "GROQ_API_KEY is not set"),
    ]
    assert [d["api_base"] for d in fast["deployments"]] == [None, "https://example.com:8443/v1"]
    assert calm["deployments"][0]["key"] == "ANTHROPIC_API_KEY is set"
    assert calm["deployments"][0]["tells_supermemory"] is True
    assert fast["fallbacks"] == {"fallbacks": ["calm"], "context_window_fallbacks": ["calm"]}
    assert calm["fallbacks"] == {"context_window_fallbacks": ["calm"], "default_fallbacks": ["fast"]}
    assert fast["memory"]["where"] == "https://memory.example"
    assert fast["memory"]["key_is_set"] is True
    assert calm["memory"] is None
    assert found["memory"]["retrieves_for"] == ["fast"]


CLOSED = ("assistants", "containers", "fine_tuning", "threads", "vector_stores", "videos")


def test_routes(found: dict[str, Any]) -> None:
    """Both architectures' routes, and what becomes of those that only one of them has."""
    by_path = {path: row for row in found["routes"] for path in row["paths"]}
    assert by_path["/chat/completions"]["sdk"] == "served"
    assert by_path["/v1/models/{model}"]["key"] is True
    assert by_path["/health"]["key"] is False
    seen = {name: (by_path[f"/v1/{name}/…"]["binary"], by_path[f"/v1/{name}/…"]["sdk"]) for name in FAMILIES}
    for name in FAMILIES:
        binary = "404 unsupported_route" if name in CLOSED else "forwarded"
        assert seen[name] == (binary, "404 unsupported_route")


def test_users(found: dict[str, Any]) -> None:
    """Who counts as whom, and why; also a client that was asked about, and one that would be refused."""
    by_client = {row["client"]: row for row in found["users"]["clients"]}
    assert by_client["curl"]["user_id"] == "default-dev"
    fleet, refused = found["users"]["clients"][-2:]
    assert (fleet["user_id"], fleet["because"]) == ("fleet", "x-ide matches ^fleet")
    assert (refused["user_id"], refused["because"]) == (None, "The header 'x-memory-user-id' must be ASCII.")


def test_well_known_clients_are_told_apart(tmp_path: Path) -> None:
    """With the default patterns each client that they are made for is recognised."""
    path = tmp_path / "config.yaml"
    path.write_text("".join(CONFIG.partition("user_id_mappings")[0]).replace("os.environ/CHECK_KEY", "none"))
    clients = {row["client"]: row["user_id"] for row in checked(load_config(path))["users"]["clients"]}
    assert clients["Claude Code"] == "claude-code"
    assert clients["PyCharm's assistant"] == "pycharm-ai"
    assert clients["OpenAI's Python client, async"] == "openai-python"
    assert clients["Anthropic's Python client"] == "anthropic-python"


def test_limits_and_environment(found: dict[str, Any]) -> None:
    """The limits as they hold, and every variable that matters with its state."""
    assert found["limits"]["max_concurrent_requests"] == 7
    assert found["limits"]["max_body_bytes"] == 32 * 1024 * 1024
    assert {row["name"]: row["set"] for row in found["environment"]} == {
        "CHECK_KEY": True,
        "GROQ_API_KEY": False,
        "ANTHROPIC_API_KEY": True,
    }


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["text", "json"])
def test_no_secret_is_told(config: Path, arguments: list[str]) -> None:
    """Neither keys nor what addresses hold of them."""
    output = _run("--config", config, *arguments).output
    assert "GROQ_API_KEY" in output
    for secret in ("hunter", "0123456789", "a-key-in-the", "another-key"):
        assert secret not in output


def test_exit_codes(config: Path) -> None:
    """0: both can serve it, 1: one of them can't and is told why, 2: it is no config."""
    done = _run("--config", config)
    assert done.exit_code == 0, done.output
    assert "sdk: can serve this" in done.output
    config.write_text(CONFIG.replace("router_settings:\n", "router_settings:\n  routing_strategy: latency\n"))
    done = _run("--config", config)
    assert done.exit_code == 1
    assert "binary: can serve this" in done.output
    assert "sdk: can't serve this" in done.output
    assert f"{config}:11: router_settings.routing_strategy" in done.output
    assert json.loads(_run("--config", config, "--json").stdout)["serves"]["sdk"]
    config.write_text(CONFIG.replace("limits:", "limit:"))
    done = _run("--config", config)
    assert done.exit_code == 2
    assert "did you mean 'limits'?" in done.output
    told = json.loads(_run("--config", config, "--json").stdout)
    assert "did you mean 'limits'?" in told["problems"][0]


def test_a_header_is_asked_for() -> None:
    """`--client` takes a header, and says so."""
    assert headers_of("User-Agent:  mine/1: x") == Headers({"user-agent": "mine/1: x"})
    with pytest.raises(ValueError, match="give a header"):
        headers_of("mine/1")


def test_behind_a_pipe_each_row_is_one_line(config: Path) -> None:
    """Values stay whole however long they are, tabs between."""
    model = "openai/" + "a-long-name-" * 30
    config.write_text(CONFIG.replace("openai/a", model))
    rows = [line.split("\t") for line in _run("--config", config).stdout.splitlines()]
    assert ["fast", f"{model} (weight 2)", "its usual address", "given", "from supermemory"] in rows
    assert ["max_concurrent_requests", "7"] in rows


def test_on_a_terminal_there_are_tables(found: dict[str, Any]) -> None:
    """As wide as the terminal is, with nothing cut off."""
    found["models"][0]["name"] = "long" * 20
    console = Console(record=True, width=60, force_terminal=True, file=io.StringIO())
    show(found, console)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 60
    assert "long" * 20 in "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))


def test_what_looks_like_markup_is_shown(found: dict[str, Any]) -> None:
    """A name in brackets is a name, no style."""
    found["models"][0]["name"] = "[red]fast[/red]"
    console = Console(record=True, width=200, force_terminal=True, file=io.StringIO())
    show(found, console)
    assert "[red]fast[/red]" in console.export_text()


def test_an_embedded_store_is_named(config: Path) -> None:
    """Its file stands where a server's address would, and it has no key."""
    config.write_text(
        CONFIG.replace("api_key: sm_0123456789abcdef", "store: embedded, path: m.db, write_back: true")
    )
    done = _run("--config", config)
    assert "m.db" in done.output
    assert "write_back" in done.output
    store = json.loads(_run("--config", config, "--json").stdout)["memory"]["store"]
    assert (store["where"], store["key_is_set"]) == (str(config.parent / "m.db"), None)

from __future__ import annotations

import pytest

from proxies.config.models import Deployment, HeaderPattern, UserIdMappings
from proxies.memory.routing import Routing, memory_headers, route

DEFAULTS = UserIdMappings()


@pytest.mark.parametrize(
    ("agent", "user_id"),
    [
        ("OpenAIClientImpl/Java 4.8.0", "pycharm-ai"),
        ("Claude Code/1.0", "claude-code"),
        ("claude code", "claude-code"),
        ("claude-cli/2.0.1 (external, cli)", "claude-code"),
        ("anthropic-sdk-python/0.40", "anthropic-python"),
        ("Anthropic/Python 0.71.0", "anthropic-python"),
        ("AsyncAnthropic/Python 0.71.0", "anthropic-python"),
        ("OpenAI/Python 2.54.0", "openai-python"),
        ("AsyncOpenAI/Python 2.54.0", "openai-python"),
    ],
)
def test_default_patterns_know_the_usual_clients(agent: str, user_id: str) -> None:
    """Each client that the contract names gets its user id, and the row that decided is told."""
    routing = route({"User-Agent": agent}, DEFAULTS)
    assert routing.user_id == user_id
    assert not routing.is_default
    info = routing.as_info()
    assert set(info) == {"user_id", "matched_pattern", "custom_header_present", "is_default"}
    assert set(info["matched_pattern"]) == {"header", "pattern", "user_id"}


def test_the_official_openai_client_is_known() -> None:
    """What the installed client really sends is on the list."""
    openai = pytest.importorskip("openai")
    for client in (openai.OpenAI(api_key="x"), openai.AsyncOpenAI(api_key="x")):
        assert route({"user-agent": client.user_agent}, DEFAULTS).user_id == "openai-python"


@pytest.mark.parametrize("headers", [{}, {"user-agent": "curl/8"}, {"user-agent": "not Claude Code"}])
def test_nobody_known_is_the_default(headers: dict[str, str]) -> None:
    """Without header and match the default decides, and says so."""
    assert route(headers, DEFAULTS) == Routing("default-dev", is_default=True)


@pytest.mark.parametrize(
    ("headers", "user_id"),
    [
        ({"X-Memory-User-Id": " ann ", "user-agent": "Claude Code"}, "ann"),
        ({"x-sm-user-id": "bob", "user-agent": "Claude Code"}, "bob"),
        ({"x-sm-user-id": "bob", "x-memory-user-id": "ann"}, "ann"),
        ({"x-sm-user-id": "bob", "x-memory-user-id": "  "}, "bob"),
    ],
)
def test_a_header_of_the_clients_own_wins(headers: dict[str, str], user_id: str) -> None:
    """The custom header comes first, then its alias, then everything else."""
    assert route(headers, DEFAULTS) == Routing(user_id, custom_header_present=True)


def test_a_blank_custom_header_counts_as_none() -> None:
    """Only white space lets the patterns decide."""
    routing = route({"x-memory-user-id": " ", "user-agent": "Claude Code"}, DEFAULTS)
    assert (routing.user_id, routing.custom_header_present) == ("claude-code", False)


def test_the_first_pattern_wins_and_an_absent_header_matches_nothing() -> None:
    """Rows are tried in order; a pattern that matches empty text needs the header all the same."""
    rows = [("x-team", ".*", "team"), ("user-agent", "b", "second"), ("user-agent", "a", "third")]
    mappings = UserIdMappings(
        header_patterns=tuple(HeaderPattern(header=h, pattern=p, user_id=u) for h, p, u in rows)
    )
    assert route({"User-Agent": "AB"}, mappings).user_id == "second"
    assert route({"user-agent": "", "X-Team": ""}, mappings).user_id == "team"


def _deployment(api_base: str | None = None, **model_info: bool) -> Deployment:
    return Deployment(
        model_name="m", litellm_params={"model": "openai/x", "api_base": api_base}, model_info=model_info
    )


@pytest.mark.parametrize(
    "deployment",
    [
        _deployment("https://api.supermemory.ai/v3/https://api.openai.com/v1"),
        _deployment("https://SuperMemory.ai./v3"),
        _deployment("api.supermemory.ai/v3"),
        _deployment("http://127.0.0.1:1", supermemory=True),
        _deployment(supermemory=True),
    ],
)
def test_supermemory_learns_the_user(deployment: Deployment) -> None:
    """The host of api_base or the mark in model_info sends the user id along, for the whole group."""
    assert memory_headers(Routing("ann"), [_deployment(), deployment]) == {"x-sm-user-id": "ann"}


@pytest.mark.parametrize(
    "deployment",
    [
        _deployment(),
        _deployment("https://api.openai.com/v1"),
        _deployment("https://notsupermemory.ai"),
        _deployment("https://supermemory.ai.example.org"),
        _deployment("https://example.org/api.supermemory.ai"),
        _deployment("http://[broken", supermemory=False),
    ],
)
def test_no_other_provider_learns_the_user(deployment: Deployment) -> None:
    """A host that only looks alike gets nothing."""
    assert memory_headers(Routing("ann"), [deployment]) == {}

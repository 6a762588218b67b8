from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxies.config.loading import ConfigError, config_from_environment, litellm_key, load_config
from proxies.config.models import (
    DEFAULT_PATTERNS,
    ENVIRONMENT_ROUTES,
    LITELLM_SECTIONS,
    Deployment,
    ProxyConfig,
)
from proxies.support.redact import redact_text
from tests.root import ROOT

EXAMPLE = ROOT / "examples" / "config.yaml"
KEY = "sk-a-key-of-the-tests"
MINIMAL = f"""\
model_list:
  - model_name: gpt
    litellm_params:
      model: openai/gpt-4o
      api_key: a-key-of-the-provider
general_settings:
  master_key: {KEY}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return _write


def _problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_the_example_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that ships as an example is one that both architectures accept, with the default patterns."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SUPERMEMORY_API_KEY", "MEMORY_PROXY_KEY"):
        monkeypatch.setenv(name, f"value-of-{name}")
    config = load_config(EXAMPLE)
    assert config.master_key == "value-of-MEMORY_PROXY_KEY"
    assert [d.through_supermemory for d in config.model_list] == [False, False, True]
    assert config.user_id_mappings.header_patterns == DEFAULT_PATTERNS


def test_the_minimum_is_a_model_and_a_master_key(write: Write) -> None:
    """Everything else has a default."""
    config = load_config(write(MINIMAL))
    assert config.user_id_mappings.custom_header == "x-memory-user-id"
    assert config.user_id_mappings.default_user_id == "default-dev"
    assert config.max_body_bytes == 32 * 1024 * 1024
    assert config.context_retrieval.enabled is False
    assert [d.model_name for d in config.group("gpt")] == ["gpt"]
    assert config.group("other") == ()


def test_every_mistake_is_told_at_once_with_its_line(write: Write) -> None:
    """The message lists all problems, in the order of the file, and what would be right."""
    path = write("""\
model_list:
  - model_name: "claude-*"
    litellm_params: {model: anthropic/x}
  - litellm_params: {api_key: x}
router_setting: {}
include: [more.yaml]
user_id_mappings:
  custom_headr: x-me
  header_patterns:
    - {header: user-agent, pattern: "(", user_id: 7}
    - {header: "a b", pattern: "", user_id: "ann\\n"}
context_retrieval:
  enabled: true
""")
    problems = _problems(path)
    starts = [
        "1: general_settings.master_key: is missing",
        "2: model_list[0].model_name: 'claude-*' is a wildcard",
        "4: model_list[1].model_name: is missing",
        "4: model_list[1].litellm_params: needs `model`",
        "5: router_setting: unknown key; did you mean 'router_settings'?",
        "6: include: other files are not read",
        "8: user_id_mappings.custom_headr: unknown key; did you mean 'custom_header'?",
        "10: user_id_mappings.header_patterns[0].pattern: is no regular expression",
        "10: user_id_mappings.header_patterns[0].user_id: must be text, not a whole number",
        "11: user_id_mappings.header_patterns[1].header: is no name of a header",
        "11: user_id_mappings.header_patterns[1].pattern: is empty",
        "11: user_id_mappings.header_patterns[1].user_id: must be printable ASCII",
        "12: context_retrieval: needs `api_key`",
    ]
    assert len(problems) == len(starts)
    for problem, start in zip(problems, starts, strict=True):
        assert problem.startswith(start)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("sk-1234", "is the example from LiteLLM's manual"),
        ('" "', "is empty"),
        ("12345", "must be text"),
        ('"a b"', "has characters that a header can't carry"),
        ("null", "is missing"),
        ("password", "can be guessed"),
        ("sk-1", "can be guessed"),
        ("sk-1111111111111111111111", "can be guessed"),
        ("sk-my-secret-master-key-12345", "can be guessed"),
        ("Change-Me-Please-1234567890", "can be guessed"),
    ],
)
def test_a_useless_master_key_is_refused(write: Write, key: str, said: str) -> None:
    """Nothing is ever served without a key that protects it; the key isn't printed."""
    [problem] = _problems(write(MINIMAL.replace(KEY, key)))
    assert problem.startswith(f"7: general_settings.master_key: {said}")
    assert "sk-1234" not in problem


@pytest.mark.parametrize("name", ["master_kye", "masterkey", "MASTER_KEY"])
def test_a_slip_in_the_master_keys_name(write: Write, name: str) -> None:
    """The key that looks like it is named with its line; LiteLLM's other keys are none of our business."""
    [problem] = _problems(write(MINIMAL.replace("master_key:", f"key_generation: x\n  {name}:")))
    assert problem.startswith("6: general_settings.master_key: is missing")
    assert problem.endswith(f"did you mean 'master_key' where line 8 has '{name}'?")
    [problem] = _problems(write(MINIMAL.replace("master_key:", "database_url:")))
    assert problem.startswith("6: general_settings.master_key: is missing")
    assert "did you mean" not in problem


def test_the_refused_key_is_the_one_that_litellm_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest here is on the list of the installed LiteLLM."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    check = pytest.importorskip("litellm.proxy.auth.master_key_boot_check")
    from proxies.config import loading

    assert loading._PUBLIC_MASTER_KEYS == check.PUBLICLY_KNOWN_MASTER_KEY_SHA256_DIGESTS


@pytest.mark.parametrize("size", ["0", "-1", "true", "big"])
def test_a_body_limit_is_a_number_above_zero(write: Write, size: str) -> None:
    """max_request_size_mb is checked when the file is read, not when the first request comes."""
    [problem] = _problems(write(f"{MINIMAL}  max_request_size_mb: {size}\n"))
    assert problem.startswith("8: general_settings.max_request_size_mb: must be a number above 0")


def test_the_body_limit_is_in_mebibytes(write: Write) -> None:
    """Half a MiB is 524,288 bytes."""
    assert load_config(write(f"{MINIMAL}  max_request_size_mb: 0.5\n")).max_body_bytes == 524_288


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ("mcp", "must be a list of advisor, file_search, mcp, skills"),
        ("[advisr]", "is no tool that LiteLLM makes calls for; did you mean 'advisor'?"),
        (
            "[mcp, web]",
            "is no tool that LiteLLM makes calls for; known here: advisor, file_search, mcp, skills",
        ),
        ("[1]", "is no tool that LiteLLM makes calls for; known here: advisor, file_search, mcp, skills"),
    ],
)
def test_tools_of_litellms_own_are_named_rightly(write: Write, tools: str, problem: str) -> None:
    """litellm_tools is a list of known names, or the mistake is told when the file is read."""
    [found] = _problems(write(f"{MINIMAL}  litellm_tools: {tools}\n"))
    assert found.endswith(problem)


def test_no_tools_of_litellms_own_are_allowed_by_default(write: Write) -> None:
    """Those of the list are, when there is one."""
    assert load_config(write(MINIMAL)).litellm_tools == frozenset()
    assert load_config(write(f"{MINIMAL}  litellm_tools:\n")).litellm_tools == frozenset()
    assert load_config(write(f"{MINIMAL}  litellm_tools: [mcp, skills]\n")).litellm_tools == {"mcp", "skills"}


def test_routes_that_take_the_environments_key_are_named_rightly(write: Write) -> None:
    """environment_routes is a list of known names, or the mistake is told when the file is read."""
    [found] = _problems(write(f"{MINIMAL}  environment_routes: [file]\n"))
    assert found.endswith("is no data route that goes by no configured model; did you mean 'files'?")


@pytest.mark.parametrize(
    ("section", "routes"),
    [
        ("", set()),
        ("  environment_routes: [videos]\n", {"videos"}),
        ("  environment_routes: [containers]\n", {"containers"}),
        ("files_settings: [{custom_llm_provider: openai, api_key: k}]\n", {"batches", "files"}),
        ("files_settings: [{custom_llm_provider: azure, api_key: k}]\n", set()),
        ("finetune_settings: [{custom_llm_provider: openai, api_key: k}]\n", {"fine_tuning"}),
        ("assistant_settings: {custom_llm_provider: azure, litellm_params: {}}\n", {"assistants", "threads"}),
    ],
)
def test_data_routes_have_a_provider(write: Write, section: str, routes: set[str]) -> None:
    """Those that go by no model have one where LiteLLM's section says which, or the environment's key is allowed."""
    config = load_config(write(f"{MINIMAL}{section}".replace("openai/", "groq/", 1)))
    assert {name for name in ENVIRONMENT_ROUTES if config.serves(name)} == routes


def test_files_go_to_a_model_at_openai(write: Write) -> None:
    """LiteLLM takes the address and the key of such a deployment for files and batches."""
    config = load_config(write(MINIMAL))
    assert {name for name in ENVIRONMENT_ROUTES if config.serves(name)} == {"batches", "files"}


def test_environment_variables_are_resolved_everywhere_but_in_the_copy(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.environ/NAME` is its value for us, and stays as it is in what may be written to disk."""
    monkeypatch.setenv("A_PROVIDER_KEY", "value-from-outside")
    text = MINIMAL.replace("a-key-of-the-provider", "os.environ/A_PROVIDER_KEY")
    config = load_config(write(f"{text}guardrails: [os.environ/A_PROVIDER_KEY]\n"))
    assert config.model_list[0].litellm_params["api_key"] == "value-from-outside"
    assert config.other_sections == {"guardrails": ["value-from-outside"]}
    assert "value-from-outside" not in str(config.as_written())
    assert "os.environ/A_PROVIDER_KEY" in str(config.as_written())


def test_a_missing_environment_variable_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, line, key and variable are told, once."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    [problem] = _problems(write(MINIMAL.replace(KEY, "os.environ/NOT_THERE")))
    said = "7: general_settings.master_key: the environment variable NOT_THERE is not set; export it"
    assert problem == said


@pytest.mark.parametrize("section", LITELLM_SECTIONS)
def test_litellms_own_sections_are_accepted(write: Write, section: str) -> None:
    """An empty section of LiteLLM's is never an unknown key."""
    text = MINIMAL if section in MINIMAL else f"{MINIMAL}{section}:\n"
    assert load_config(write(text)).master_key == KEY


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://ann:p%40ss@redis.test:6380/2",
        "rediss://redis.test",
        "unix:///run/redis.sock",
    ],
)
def test_a_store_that_machines_share(write: Write, url: str) -> None:
    """It is a Redis, by any of its addresses; what memories need of it is there."""
    memory = "context_retrieval: {enabled: true, store: shared, write_back: true}\n"
    config = load_config(write(f"{MINIMAL}shared_store: {{url: '{url}', prefix: team}}\n{memory}"))
    assert config.shared_store is not None
    assert (config.shared_store.url, config.shared_store.prefix) == (url, "team")
    assert "p%40ss" not in repr(config)


@pytest.mark.parametrize(
    "url", ["http://a", "redis://", "unix://", "redis://a:port", "127.0.0.1:6379", "redis://[a"]
)
def test_a_shared_store_that_is_none(write: Write, url: str) -> None:
    [problem] = _problems(write(f"{MINIMAL}shared_store: {{url: '{url}'}}\n"))
    assert problem.startswith("8: shared_store.url: must be the URL of a Redis: redis://HOST:6379/0")


def test_a_shared_store_needs_its_package(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [problem] = _problems(write(f"{MINIMAL}shared_store: {{url: 'redis://a'}}\n"))
    assert problem == "8: shared_store.url: needs the package redis: pip install 'proxy-parity[redis]'"


def test_memories_in_a_shared_store_need_one(write: Write) -> None:
    """For all models, or for one whose own settings say so."""
    [problem] = _problems(write(f"{MINIMAL}context_retrieval: {{enabled: true, store: shared}}\n"))
    assert problem == "8: context_retrieval.store: needs the section `shared_store` with the `url` of a Redis"
    own = "model_info: {context_retrieval: {enabled: true, store: shared}}\n    litellm_params:"
    [problem] = _problems(write(MINIMAL.replace("litellm_params:", own)))
    assert "model_info.context_retrieval.store: needs the section `shared_store`" in problem


def test_a_repeated_model_name_is_a_group(write: Write) -> None:
    """As in LiteLLM, deployments with one name are alternatives."""
    entry = MINIMAL[MINIMAL.index("  - model_name") : MINIMAL.index("general_settings")]
    config = load_config(write(MINIMAL.replace(entry, entry * 2)))
    assert len(config.group("gpt")) == 2


def test_own_header_patterns_replace_the_defaults(write: Write) -> None:
    """A list of one's own is the whole list, also when it is empty."""
    config = load_config(write(f"{MINIMAL}user_id_mappings: {{header_patterns: []}}\n"))
    assert config.user_id_mappings.header_patterns == ()


def test_a_header_with_a_meaning_of_its_own_names_no_user(write: Write) -> None:
    """The user id can't come from the header that holds the key."""
    [problem] = _problems(write(f"{MINIMAL}user_id_mappings: {{custom_header: Authorization}}\n"))
    assert "choose another header" in problem


def test_supermemory_needs_client_headers_forwarded(write: Write) -> None:
    """With forwarding off the user id would be lost in the LiteLLM process, so it is refused."""
    text = MINIMAL.replace("litellm_params:", "model_info: {supermemory: true}\n    litellm_params:")
    [problem] = _problems(write(f"{text}  forward_client_headers_to_llm_api: off\n"))
    assert problem.startswith("9: general_settings.forward_client_headers_to_llm_api: must be true or absent")


@pytest.mark.parametrize("text", ["", "- a", "just words", "a: [", "a: 1\na: 2"])
def test_a_file_that_is_no_config_is_a_config_error(write: Write, text: str) -> None:
    """Every way a file can be wrong ends in the one exception."""
    assert _problems(write(text))


def test_no_repr_shows_a_secret(write: Write) -> None:
    """Logging a config, or a deployment, leaks nothing."""
    text = f"{MINIMAL}environment_variables: {{SOMETHING: entirely-secret}}\n"
    config = load_config(write(text))
    for shown in (repr(config), str(config), repr(config.model_list[0])):
        assert "gpt-4o" in shown
        for secret in (KEY, "a-key-of-the-provider", "entirely-secret"):
            assert secret not in shown


def test_loading_registers_the_keys_with_the_redactor(write: Write) -> None:
    """After loading, the master key and the providers' keys are masked in any text."""
    load_config(write(MINIMAL))
    assert redact_text("<a-key-of-the-provider>") == "<***>"


def test_config_from_environment(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Factories read the file that MEMORY_PROXY_CONFIG names, and say so when it names none."""
    monkeypatch.setenv("MEMORY_PROXY_CONFIG", str(write(MINIMAL)))
    assert config_from_environment().master_key == KEY
    monkeypatch.delenv("MEMORY_PROXY_CONFIG")
    with pytest.raises(ConfigError, match="MEMORY_PROXY_CONFIG"):
        config_from_environment()


def test_the_key_for_an_external_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    """MEMORY_PROXY_LITELLM_KEY, else the master key."""
    config = ProxyConfig(model_list=(), general_settings={"master_key": KEY})
    monkeypatch.delenv("MEMORY_PROXY_LITELLM_KEY", raising=False)
    assert litellm_key(config) == KEY
    monkeypatch.setenv("MEMORY_PROXY_LITELLM_KEY", "sk-another-key")
    assert litellm_key(config) == "sk-another-key"


def test_a_config_made_in_memory_can_be_written_too() -> None:
    """Without a file the copy is made from the values, and is independent of them."""
    deployment = Deployment(model_name="gpt", litellm_params={"model": "openai/x"})
    config = ProxyConfig(
        model_list=(deployment,), general_settings={"master_key": KEY}, other_sections={"guardrails": []}
    )
    written: dict[str, Any] = copy.deepcopy(config.as_written())
    assert written["model_list"][0]["litellm_params"] == {"model": "openai/x"}
    assert written["guardrails"] == []


MEMORY = """\
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/PROVIDER_KEY}
    model_info: {context_retrieval: {enabled: true, max_results: 2}}
  - model_name: other
    litellm_params: {model: openai/gpt-4o}
general_settings: {master_key: sk-0123456789abcdef}
context_retrieval: {api_key: os.environ/STORE_KEY, path: data/memory.db}
"""


def test_memory_settings_of_a_model(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's own keys lie over the section; the store's key is resolved, and masked from then on."""
    monkeypatch.setenv("PROVIDER_KEY", "provider-key")
    monkeypatch.setenv("STORE_KEY", "the-key-of-the-store")
    config = load_config(write(MEMORY))
    mine, other = (config.memory_of(config.group(name)) for name in ("gpt", "other"))
    assert (mine.enabled, mine.max_results, mine.api_key) == (True, 2, "the-key-of-the-store")
    assert (other.enabled, other.max_results) == (False, 5)
    assert config.path is not None
    assert config.beside("data/memory.db") == config.path.parent / "data" / "memory.db"
    assert config.beside("/var/memory.db") == Path("/var/memory.db")
    assert "the-key-of-the-store" not in redact_text("it said the-key-of-the-store")
    assert "the-key-of-the-store" not in repr(config)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("{max_result: 2}", "4: model_list[0].model_info.context_retrieval.max_result: unknown key"),
        ("{container_tag: all}", "4: model_list[0].model_info.context_retrieval.container_tag: must contain"),
        (
            "{enabled: true, store: embedded, path: null}",
            "4: model_list[0].model_info.context_retrieval: needs `path`",
        ),
        ("[]", "must be a mapping"),
        ("true", "must be a mapping"),
    ],
)
def test_mistakes_in_a_models_memory_settings(
    override: str, said: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told like the section's, with their own line."""
    monkeypatch.setenv("PROVIDER_KEY", "provider-key")
    monkeypatch.setenv("STORE_KEY", "the-key-of-the-store")
    problems = _problems(write(MEMORY.replace("{enabled: true, max_results: 2}", override)))
    assert len(problems) == 1
    assert said in problems[0]

"""A deployment's provider and address: what is misspelt or impossible is told, and everything of LiteLLM's is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from proxies import cli
from proxies.config import provider_names, providers
from proxies.config.loading import ConfigError, load_config
from proxies.config.providers import address_problem, place_problems
from proxies.support.generated_lists import of_installed

CONFIG = """\
model_list:
  - model_name: gpt
    litellm_params: {{{params}}}
general_settings: {{master_key: sk-a-key-of-the-tests}}
litellm_settings: {{custom_provider_map: [{{provider: mine, custom_handler: mine.handler}}]}}
"""


@pytest.fixture(scope="module")
def generated() -> dict[str, list[str]]:
    pytest.importorskip("litellm")
    return provider_names.generate()


@pytest.mark.parametrize("which", ["providers", "models", "hosts", "patterns"])
def test_lists_match_the_installed_litellm(generated: dict[str, list[str]], which: str) -> None:
    """What LiteLLM knows is generated from it, so a new version can't know more or less unnoticed."""
    assert generated[which] == of_installed(providers.FILE).get(which)


@pytest.mark.parametrize(
    "model",
    [
        "openai/gpt-4o",
        "groq/llama-3.3-70b-versatile",
        "gpt-4o",
        "claude-sonnet-9",
        "ft:gpt-4o-mini:acme::x",
        "gpt-image-9",
        "anthropic.claude-9",
        "lemonade/x",
        "gmi/x",
        "opnai/gpt-4o",
        "OpenAI/gpt-4o",
        "gpt-9000",
        "a/b/c",
        "openai",
        "/x",
    ],
)
def test_the_front_decides_as_litellm_does(model: str) -> None:
    """A model for which LiteLLM finds a provider is accepted, and no other."""
    pytest.importorskip("litellm")
    found = bool(provider_names.provider_found(model))
    assert (not list(place_problems({"model": model}))) is found


@pytest.mark.parametrize("host", ["https://api.groq.com/openai/v1", "http://127.0.0.1:8000/v1"])
def test_an_address_tells_the_provider_as_litellm_has_it(host: str) -> None:
    """A known provider's address is enough, anybody else's isn't."""
    pytest.importorskip("litellm")
    found = bool(provider_names.provider_found("a-model", api_base=host))
    assert (not list(place_problems({"model": "a-model", "api_base": host}))) is found


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ("model: opnai/gpt-4o", "model: LiteLLM knows no provider 'opnai'; did you mean 'openai'?"),
        ("model: Antropic/claude", "model: LiteLLM knows no provider 'Antropic'; did you mean 'anthropic'?"),
        ("model: zzzzzz/x", "for a server that speaks OpenAI's API write openai/zzzzzz/x"),
        ("model: gpt-9000", "model: LiteLLM can't tell whose model 'gpt-9000' is; write provider/model"),
        ("model: openai/", "model: names a provider, but none of its models"),
        ("model: x, custom_llm_provider: gorq", "custom_llm_provider: LiteLLM knows no provider 'gorq'; did"),
        ("model: openai/x, api_base: 7", "api_base: must be text"),
        ("model: openai/x, api_base: ''", "api_base: is empty"),
        ("model: openai/x, api_base: api.example.com/v1", "did you mean https://api.example.com/v1?"),
        ("model: openai/x, base_url: localhost:11434", "base_url: is no address that can be called; did you"),
        ("model: openai/x, api_base: 'htps://a.example/v1'", "did you mean https://a.example/v1?"),
        ("model: openai/x, api_base: 'http:/a.example'", "did you mean http://a.example?"),
        (
            "model: openai/x, api_base: 'ftp:///'",
            "api_base: is no address that can be called; it starts with",
        ),
        ("model: openai/x, api_base: 'https://'", "api_base: is no address that can be called"),
        ("model: openai/x, api_base: 'https://a.example:99999'", "its host or its port can't be read"),
        ("model: openai/x, api_base: 'https://a.example:0'", "its host or its port can't be one"),
        ("model: openai/x, api_base: 'https://[::1'", "its host or its port can't be read"),
        ("model: openai/x, api_base: 'https://{name}.openai.azure.com'", "its host or its port can't be one"),
        ("model: openai/x, api_base: 'https://a..example'", "its host or its port can't be one"),
        ("model: openai/x, api_base: 'https://a.example/v1 '", "has a blank or a line end in it"),
    ],
)
def test_check_and_start_tell_it(params: str, sentence: str, tmp_path: Path) -> None:
    """The file, the line, the key, what is wrong and what may have been meant; before anything is started."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(params=params))
    for command in ("check", "sdk", "binary", "start"):
        done = CliRunner().invoke(cli.main, [command, "--config", str(path)])
        assert done.exit_code == 2, done.output
        assert f"{path}:3: model_list[0].litellm_params." in done.output
        assert sentence in done.output


@pytest.mark.parametrize(
    "params",
    [
        "model: mine/x",
        "model: x, custom_llm_provider: mine",
        "model: x, use_litellm_proxy: true",
        "model: openai/x, api_base: 'http://[::1]:8000/v1'",
        "model: openai/x, api_base: 'http://my_service:8000'",
        "model: openai/x, api_base: 'https://bücher.example/v1'",
        "model: openai/x, api_base: null",
        "model: openai/x, api_base: 'https://api.supermemory.ai/v3/https://api.openai.com/v1'",
    ],
)
def test_what_is_right_loads(params: str, tmp_path: Path) -> None:
    """Providers of the config's own, and every address that can be called."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(params=params))
    assert load_config(path).model_list


def test_no_secret_of_an_address_is_told(tmp_path: Path) -> None:
    """A suggestion leaves out what the address holds of credentials."""
    path = tmp_path / "config.yaml"
    path.write_text(
        CONFIG.format(params="model: openai/x, api_base: 'htps://ann:hunter22@a.example/v1?key=hunter33'")
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "a.example" in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert "hunter" not in address_problem("ann:hunter22@a.example/v1")

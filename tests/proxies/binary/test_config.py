from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxies.binary.config import litellm_config, write_config
from proxies.config.loading import load_config
from proxies.config.models import ProxyConfig

KEY = "sk-a-key-of-the-tests"


def _config(**sections: Any) -> ProxyConfig:
    general = {"master_key": KEY, **sections.pop("general_settings", {})}
    models = sections.pop(
        "model_list", [{"model_name": "gpt", "litellm_params": {"model": "openai/x", "api_key": "stub"}}]
    )
    return ProxyConfig(model_list=models, general_settings=general, **sections)


def test_the_recipe_fills_what_is_absent() -> None:
    """Headers and disconnects pass, retries and cooldowns are off, ours is gone, the key isn't written."""
    copied = litellm_config(
        _config(
            general_settings={
                "max_request_size_mb": 1,
                "litellm_tools": ["mcp"],
                "environment_routes": ["files"],
            }
        )
    )
    assert copied["general_settings"] == {
        "master_key": "os.environ/LITELLM_MASTER_KEY",
        "forward_client_headers_to_llm_api": True,
        "cancel_on_disconnect": True,
        "always_include_stream_usage": False,
    }
    assert copied["router_settings"] == {"disable_cooldowns": True, "num_retries": 0}
    assert copied["litellm_settings"] == {
        "use_chat_completions_url_for_anthropic_messages": True,
        "disable_hf_tokenizer_download": True,
    }
    assert copied["model_list"][0]["litellm_params"] == {
        "model": "openai/x",
        "api_key": "stub",
        "max_retries": 0,
        "num_retries": 0,
    }
    assert not {"user_id_mappings", "context_retrieval"} & set(copied)


def test_the_recipe_overrides_nothing() -> None:
    """What the user chose stays, and a chosen number of retries isn't undone per deployment."""
    chosen = {
        "use_chat_completions_url_for_anthropic_messages": False,
        "disable_hf_tokenizer_download": False,
    }
    copied = litellm_config(
        _config(
            general_settings={"forward_client_headers_to_llm_api": False, "cancel_on_disconnect": False},
            router_settings={"num_retries": 3, "disable_cooldowns": False, "timeout": 7},
            litellm_settings=chosen,
            other_sections={"guardrails": [{"guardrail_name": "x"}]},
        )
    )
    assert copied["general_settings"]["forward_client_headers_to_llm_api"] is False
    assert copied["general_settings"]["cancel_on_disconnect"] is False
    assert copied["router_settings"] == {"num_retries": 3, "disable_cooldowns": False, "timeout": 7}
    assert copied["litellm_settings"] == chosen
    assert "num_retries" not in copied["model_list"][0]["litellm_params"]
    assert copied["guardrails"] == [{"guardrail_name": "x"}]


def test_retries_chosen_for_litellm_as_a_whole_stay_too() -> None:
    """litellm_settings.num_retries counts as chosen."""
    copied = litellm_config(_config(litellm_settings={"num_retries": 2}))
    assert "num_retries" not in copied["router_settings"]
    assert "num_retries" not in copied["model_list"][0]["litellm_params"]


def test_making_the_copy_changes_nothing(tmp_path: Path) -> None:
    """It is a pure function, of a config from a file too."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"model_list: [{{model_name: a, litellm_params: {{model: openai/x}}}}]\n"
        f"general_settings: {{master_key: {KEY}, max_request_size_mb: 1}}\n"
    )
    for config in (_config(), load_config(path)):
        before = json.dumps(config.as_written())
        assert litellm_config(config) == litellm_config(config)
        assert json.dumps(config.as_written()) == before


@pytest.mark.parametrize(
    "text", ["on", "no", "1:30", "012", "1e3", "null", "2023-06-01", "é😀\x85", "a: b # c", ""]
)
def test_pyyaml_reads_the_copy_as_it_was_meant(tmp_path: Path, text: str) -> None:
    """LiteLLM reads with PyYAML, where unquoted words change their type."""
    yaml = pytest.importorskip("yaml")
    params = {"model": "openai/x", "text": text, "number": 1e-05, "list": [text], "flag": True}
    path = write_config(_config(model_list=[{"model_name": "a", "litellm_params": params}]), tmp_path, 1)
    read = yaml.safe_load(path.read_text(encoding="utf-8"))["model_list"][0]["litellm_params"]
    assert {key: read[key] for key in params} == params


def test_modules_beside_the_config_stand_beside_the_copy(tmp_path: Path) -> None:
    """`callbacks: my_hooks.handler` means a file beside the user's config."""
    (tmp_path / "my_hooks.py").write_text("handler = None")
    (tmp_path / "other.py").write_text("")
    source = tmp_path / "config.yaml"
    source.write_text(
        f"model_list: [{{model_name: a, litellm_params: {{model: openai/x}}}}]\n"
        f"general_settings: {{master_key: {KEY}}}\nlitellm_settings: {{callbacks: my_hooks.handler}}\n"
    )
    target = tmp_path / "copy"
    target.mkdir()
    write_config(load_config(source), target, 1)
    assert sorted(path.name for path in target.iterdir()) == ["config.yaml", "my_hooks.py"]

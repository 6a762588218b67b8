"""Writes the config that the LiteLLM process is started with: the user's config, and the recipe where that is silent.

ProxyConfig ──litellm_config──> a document ──write_config──> private copy, the user's modules beside it
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from proxies.config.models import MEMORY_KEY, OUR_SECTIONS, ProxyConfig

KEY_VARIABLE = "LITELLM_MASTER_KEY"
"""The environment variable that the process has its master key from."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def litellm_config(config: ProxyConfig) -> dict[str, Any]:
    """Return the config of the LiteLLM process: the user's file without our keys, the recipe where it is silent.

    The recipe lets client headers and disconnects through to the provider and turns retries and cooldowns
    off. The master key is the process's own, by way of its environment; `os.environ/NAME` stays unresolved.
    """
    written = copy.deepcopy(config.as_written())
    copied = {key: value for key, value in written.items() if key not in OUR_SECTIONS and value is not None}
    general = copied.setdefault("general_settings", {})
    router = copied.setdefault("router_settings", {})
    retries_chosen = _chosen(router, "num_retries") or _chosen(
        copied.get("litellm_settings", {}), "num_retries"
    )

    # Ours, and an enterprise feature there, which would log a warning for every request.
    general.pop("max_request_size_mb", None)
    general.pop("litellm_tools", None)
    general.pop("environment_routes", None)
    general.pop("cors_origins", None)
    general["master_key"] = f"os.environ/{KEY_VARIABLE}"
    # The last one: LiteLLM asks OpenAI for the usage of every stream, whatever the client asked for.
    _fill(
        general,
        forward_client_headers_to_llm_api=True,
        cancel_on_disconnect=True,
        always_include_stream_usage=False,
    )
    # What the sdk architecture does, too: a message for an OpenAI model becomes a chat completion, which every
    # OpenAI-compatible server has, and no call of /v1/responses, which few have.
    # And neither counts tokens with a tokenizer from Hugging Face: LiteLLM asks for it during a call to any model
    # whose name has `llama` in it, and stands still for 20 seconds where that host can't be reached.
    _fill(
        copied.setdefault("litellm_settings", {}),
        use_chat_completions_url_for_anthropic_messages=True,
        disable_hf_tokenizer_download=True,
    )
    _fill(router, disable_cooldowns=True)
    if not retries_chosen:
        _fill(router, num_retries=0)
    for deployment in copied["model_list"]:
        (deployment.get("model_info") or {}).pop(MEMORY_KEY, None)
        _fill(deployment["litellm_params"], max_retries=0)
        if not retries_chosen:
            _fill(deployment["litellm_params"], num_retries=0)
    return copied


def _chosen(settings: dict[str, Any], key: str) -> bool:
    return settings.get(key) is not None


def _fill(settings: dict[str, Any], **recipe: Any) -> None:
    for key, value in recipe.items():
        if settings.get(key) is None:
            settings[key] = value


def reports(config: ProxyConfig) -> bool:
    """Whether failed calls are told to somebody, who must not hear of a warm-up."""
    settings = config.litellm_settings
    keys = ("callbacks", "failure_callback", "success_callback", "service_callback")
    return any(settings.get(key) for key in keys) or bool(config.general_settings.get("alerting"))


def warm_up_models(port: int) -> dict[str, dict[str, Any]]:
    """`litellm_params` by model name, one for each of LiteLLM's HTTP clients, all at `port` of this machine."""
    base = f"http://127.0.0.1:{port}"
    shared = {"api_key": "none", "max_retries": 0, "num_retries": 0, "timeout": 5}
    return {
        "memory-proxy-warm-up-openai": {"model": "openai/warm-up", "api_base": f"{base}/v1", **shared},
        "memory-proxy-warm-up-anthropic": {"model": "anthropic/warm-up", "api_base": base, **shared},
    }


def write_config(config: ProxyConfig, directory: Path, refusing_port: int) -> Path:
    """The private copy in `directory`, with models for the warm-up at a port where nobody listens."""
    copied = litellm_config(config)
    if not reports(config):
        copied["model_list"] += [
            {"model_name": name, "litellm_params": params}
            for name, params in warm_up_models(refusing_port).items()
        ]
    path = directory / "config.yaml"
    yaml = YAML(typ="safe", pure=True)
    # PyYAML reads it, for which `on` or `1:30` are no text unless they are quoted.
    yaml.version = "1.1"
    yaml.allow_unicode = False
    # Round trips through JSON: shared objects, which YAML would write as anchors, become copies.
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(json.loads(json.dumps(copied)), file)
    if config.path is not None:
        _link_modules(copied, config.path.resolve().parent, directory)
    return path


def _link_modules(copied: dict[str, Any], source: Path, directory: Path) -> None:
    """LiteLLM looks for `callbacks: my_module.handler` beside its config: links stand beside the copy."""
    for text in _texts(copied):
        if _DOTTED.fullmatch(text):
            first = text.partition(".")[0]
            for name in (f"{first}.py", first):
                link = directory / name
                if (source / name).exists() and not link.exists():
                    link.symlink_to(source / name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)

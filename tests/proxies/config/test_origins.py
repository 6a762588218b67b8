"""Origins in a config: told where a browser would never send them so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxies.config.loading import ConfigError, load_config
from proxies.config.origins import origin_problem
from proxies.sdk.config import sdk_problems

CONFIG = """\
model_list: [{{model_name: m, litellm_params: {{model: openai/m}}}}]
general_settings:
  master_key: sk-a-key-of-the-tests
  cors_origins: {origins}
"""


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:5173",
        "https://chat.example.com",
        "http://[::1]:8000",
        "vscode-webview://1a2b",
        "tauri://localhost",
        "*",
    ],
)
def test_origins_as_browsers_send_them(origin: str) -> None:
    """Pages of any scheme, and all of them at once."""
    assert origin_problem(origin) == ""


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("http://localhost:5173/", "did you mean 'http://localhost:5173'?"),
        ("https://chat.example.com/app?x#y", "did you mean 'https://chat.example.com'?"),
        ("HTTPS://Chat.Example.com", "did you mean 'https://chat.example.com'?"),
        ("https://chat.example.com:443", "did you mean 'https://chat.example.com'?"),
        ("http://localhost:80", "did you mean 'http://localhost'?"),
        ("chat.example.com", "did you mean 'https://chat.example.com'?"),
        ("https://*.example.com", "is no origin"),
        ("https://ann@example.com", "is no origin"),
        ("", "is no origin"),
        (7, "must be text"),
    ],
)
def test_others_are_told(origin: Any, sentence: str) -> None:
    """With what was meant, where that is clear."""
    assert sentence in origin_problem(origin)


def test_the_config_checks_each(tmp_path: Path) -> None:
    """By file, line and place; a right list is one for both architectures, and empty by default."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(origins="[http://a.example, b.example]"))
    with pytest.raises(ConfigError, match=r":4: general_settings.cors_origins\[1\]: .*'https://b.example'"):
        load_config(path)
    path.write_text(CONFIG.format(origins="http://a.example"))
    with pytest.raises(ConfigError, match="must be a list of origins"):
        load_config(path)
    path.write_text(CONFIG.format(origins="[http://a.example]"))
    config = load_config(path)
    assert config.cors_origins == ("http://a.example",)
    assert sdk_problems(config) == []
    path.write_text(CONFIG.format(origins="null"))
    assert load_config(path).cors_origins == ()

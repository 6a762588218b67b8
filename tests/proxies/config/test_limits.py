"""The section `limits`: strict, with the line of each mistake, and never LiteLLM's to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxies.binary.config import litellm_config
from proxies.config.limits import Limits
from proxies.config.loading import ConfigError, load_config
from proxies.sdk.config import sdk_problems

MINIMAL = """\
model_list:
  - model_name: fast
    litellm_params: {model: openai/a}
general_settings: {master_key: sk-of-the-tests-0123456789}
"""


def test_each_mistake_has_its_line(tmp_path: Path) -> None:
    """Unknown keys, wrong types and values out of range are told at once, with file, line and key."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"{MINIMAL}limits:\n  max_header: 5\n  max_headers: many\n  max_connections: 0\n  body_timeout: -1\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert [problem.removeprefix(f"{path}:") for problem in refused.value.problems] == [
        "6: limits.max_header: unknown key; did you mean 'max_headers'?",
        "7: limits.max_headers: must be a whole number, not text",
        "8: limits.max_connections: must be greater than or equal to 1",
        "9: limits.body_timeout: must be greater than 0",
    ]


def test_both_architectures_take_it(tmp_path: Path) -> None:
    """The sdk architecture honours the section, and the LiteLLM process isn't shown it."""
    path = tmp_path / "config.yaml"
    path.write_text(f"{MINIMAL}limits: {{max_headers: 50, header_timeout: 5}}\n")
    config = load_config(path)
    assert config.limits == Limits(max_headers=50, header_timeout=5)
    assert sdk_problems(config) == []
    assert "limits" not in litellm_config(config)

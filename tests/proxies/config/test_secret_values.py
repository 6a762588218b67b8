"""Loading a config tells the redactor every secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxies.config.loading import load_config
from proxies.support import redact
from proxies.support.redact import redact_text

CONFIG = """\
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      api_base: https://ann%2Bb:hun%2Fter22222@example.com/v1?x=plain-value-1&sig=signed.value.1
      extra_headers: {x-auth-token: token.of.extra.1, x-team: plain-value-2}
      vertex_credentials: credentials.1
      max_tokens: 12345678
      api_key: none
    model_info: {context_retrieval: {api_key: key.of.a.model.1}}
general_settings: {master_key: master.key.of.0001, database_url: "postgres://bob:hunter33333@db/x"}
context_retrieval: {enabled: true, api_key: key.of.the.store.1, base_url: "https://only.a.token.1@memory.example"}
"""


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_registered", {})
    monkeypatch.setattr(redact, "_masked", ())


def test_what_goes_by_the_name_of_a_secret_is_masked(tmp_path: Path) -> None:
    """Keys, tokens and credentials at any depth, and what addresses hold, as written and decoded; the rest stays."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    load_config(path)
    for secret in (
        "master.key.of.0001",
        "token.of.extra.1",
        "credentials.1",
        "key.of.a.model.1",
        "key.of.the.store.1",
        "hun%2Fter22222",
        "hun/ter22222",
        "signed.value.1",
        "hunter33333",
        "only.a.token.1",
    ):
        assert redact_text(f"said {secret} again") == "said *** again"
    for word in ("plain-value-1", "plain-value-2", "openai/gpt-4o-mini", "12345678", "none"):
        assert redact_text(f"said {word} again") == f"said {word} again"

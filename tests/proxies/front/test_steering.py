"""The generated list, and that it is what the installed LiteLLM gives."""

from __future__ import annotations

import pytest

from proxies.front import steering


def test_list_matches_the_installed_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regenerating changes nothing; otherwise run `python -m proxies.front.steering`."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    pytest.importorskip("litellm")
    assert steering.generate() == sorted(steering.steering_names())


def test_safe_names_pass() -> None:
    """What clients legitimately send is not on the list."""
    names = (
        "metadata",
        "user",
        "drop_params",
        "model",
        "messages",
        "stream",
        "n",
        "tools",
        "seed",
        "thinking",
    )
    assert not any(steering.is_steering(name) for name in names)


def test_steering_names_do_not() -> None:
    """What moves LiteLLM is, in its own spelling only."""
    assert all(steering.is_steering(name) for name in ("api_base", "client", "self", "litellm_x", "_x"))
    assert not steering.is_steering("API_BASE")


@pytest.mark.parametrize(
    "name",
    ["callbacks", "context_window_fallbacks", "user_config", "mock_tool_calls", "model_group_retry_policy"],
)
def test_what_only_the_router_or_the_process_reads_steers_too(name: str) -> None:
    """Names that LiteLLM lists nowhere, and obeys all the same, are refused."""
    assert steering.is_steering(name)


def test_metadata_labels_and_does_not_steer() -> None:
    """Labels pass; an address or a credential under `metadata` would move LiteLLM like one beside it."""
    assert not any(steering.is_steering_label(name) for name in ("tags", "user_id", "session_id", "team"))
    assert steering.is_steering_label("langsmith_base_url")

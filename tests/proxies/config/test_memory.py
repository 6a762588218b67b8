from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxies.config.memory import ContextRetrieval, ModelFilter

KEY = "sm_test-key"


def test_off_unless_it_is_turned_on() -> None:
    """The defaults are those of the documentation, and look nothing up."""
    settings = ContextRetrieval()
    assert not settings.enabled
    assert (settings.store, settings.base_url) == ("supermemory", "https://api.supermemory.ai")
    assert (settings.container_tag, settings.query_strategy) == ("{user_id}", "last_user")
    assert (settings.injection_strategy, settings.write_back) == ("dual", False)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"enabled": True}, "needs `api_key`"),
        ({"enabled": True, "store": "embedded"}, "needs `path`"),
        ({"enabled": True, "api_key": KEY, "write_back": True}, "`store: embedded` and `store: shared` only"),
        ({"container_tag": "everyone"}, "must contain {user_id}"),
        ({"base_url": "api.supermemory.ai"}, "must be a URL"),
        ({"base_url": "http://[/"}, "must be a URL"),
        ({"api_key": "two words"}, "travels as a header"),
        ({"api_key": ""}, "travels as a header"),
        ({"query_strategy": "newest"}, "query_strategy"),
        ({"injection_strategy": "tool"}, "injection_strategy"),
        ({"timeout": 0}, "greater than 0"),
        ({"max_results": -1}, "greater than or equal to 0"),
        ({"min_similarity": 2}, "less than or equal to 1"),
        ({"max_result": 3}, "Extra inputs"),
        ({"models": {"only": []}}, "Extra inputs"),
    ],
)
def test_mistakes_are_refused(section: dict[str, Any], said: str) -> None:
    """A section that can't work, or would mix users, is no configuration."""
    with pytest.raises(ValidationError, match=said):
        ContextRetrieval.model_validate(section)


def test_a_model_changes_single_keys() -> None:
    """Overrides win over the section, which keeps the rest; together they are checked anew."""
    section = ContextRetrieval(api_key=KEY, max_results=3)
    settings = section.with_overrides({"enabled": True, "injection_strategy": "system"})
    assert (settings.enabled, settings.api_key, settings.max_results) == (True, KEY, 3)
    assert settings.injection_strategy == "system"
    with pytest.raises(ValidationError, match="needs `path`"):
        section.with_overrides({"enabled": True, "store": "embedded"})


def test_the_key_is_not_shown() -> None:
    """The representation of the settings is fit for a log."""
    assert KEY not in repr(ContextRetrieval(api_key=KEY))


@pytest.mark.parametrize(
    ("allow", "deny", "allowed"),
    [
        (("*",), (), True),
        (("gpt-*",), (), True),
        (("claude-*",), (), False),
        ((), (), False),
        (("*",), ("gpt-4o",), False),
        (("gpt-4o",), ("*",), False),
        (("*",), ("GPT-4O",), True),
    ],
)
def test_models(allow: tuple[str, ...], deny: tuple[str, ...], allowed: bool) -> None:
    """A model must be on the one list and not on the other; letters count as they are."""
    assert ModelFilter(allow=allow, deny=deny).allows("gpt-4o") is allowed

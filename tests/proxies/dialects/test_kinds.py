"""The one table of the ways to ask a model."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import pytest
from starlette.routing import Match

from proxies.dialects.kinds import KINDS
from proxies.errors import ProxyError
from proxies.front.app import build_app
from proxies.front.body import check_params
from tests.proxies.front.fakes import FakeBackend, make_config


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_row_is_a_route(kind: Any) -> None:
    """Each row is answered at its path by POST alone, once, and without `/v1` only where it says so."""
    routes = build_app(make_config(), FakeBackend()).router.routes

    def found(method: str, path: str) -> list[Match]:
        scope = {"type": "http", "method": method, "path": path, "headers": []}
        matches = [route.matches(scope)[0] for route in routes]
        return [match for match in matches if match is not Match.NONE]

    assert found("POST", f"/v1/{kind.route}") == [Match.FULL]
    assert found("GET", f"/v1/{kind.route}") == [Match.PARTIAL]
    assert bool(found("POST", f"/{kind.route}")) is kind.bare


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_row_names_a_function_of_litellms(kind: Any) -> None:
    """The function is where the sdk proxy looks it up."""
    pytest.importorskip("litellm")
    assert callable(resolve_name(f"litellm.{kind.function}"))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_row_checks_and_recognises(kind: Any) -> None:
    """No row lets a request without a model through, nor takes just any object for an answer."""
    with pytest.raises(ProxyError, match="model"):
        check_params({}, kind.shape)
    assert not kind.is_answer({"status": "ok"})

"""Pages in browsers: none may use the proxy, unless the configuration names their origin."""

from __future__ import annotations

from typing import Any

import pytest

from parity.kit import When

PAGE = "http://localhost:5173"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-lang",
}


@pytest.fixture
def proxy_config(proxy_config: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    origins = getattr(request, "param", [PAGE])
    proxy_config["general_settings"] = {**proxy_config["general_settings"], "cors_origins": origins}
    return proxy_config


def _without_key(target: Any) -> None:
    for name in ("authorization", "x-api-key"):
        target.client.headers.pop(name, None)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/openai/v1/models"])
def test_a_browser_may_ask_first(target: Any, path: str) -> None:
    """Without a key, which a browser sends with the request alone; every header that a page names is allowed."""
    _without_key(target)
    answer = target.client.options(path, headers=PREFLIGHT)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("body", [CHAT, {**CHAT, "stream": True}], ids=["plain", "stream"])
def test_its_page_may_read_the_answer(target: Any, body: dict[str, Any]) -> None:
    """Headers included, such as the provider's request id."""
    target.answers("Hello!")
    answer = target.client.post("/v1/chat/completions", json=body, headers={"origin": PAGE})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-expose-headers"] == "*"


def test_its_page_may_read_an_error(target: Any) -> None:
    """Or a page would see a network failure where the proxy said what was wrong."""
    target.refuses(429, "Slow down.", when=When(says="hi"))
    answers = [
        target.client.post("/v1/chat/completions", json=CHAT, headers={"origin": PAGE}),
        target.client.post("/v1/chat/completions", content=b"{", headers={"origin": PAGE}),
        target.client.get("/nowhere", headers={"origin": PAGE}),
    ]
    assert [answer.status_code for answer in answers] == [429, 400, 404]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {PAGE}


@pytest.mark.parametrize("origin", ["http://localhost:5174", "https://evil.example", "null"])
def test_other_pages_may_not(target: Any, origin: str) -> None:
    """They are refused before they send anything, in the envelope, and can't read what they get all the same."""
    refused = target.client.options("/v1/chat/completions", headers={**PREFLIGHT, "origin": origin})
    assert refused.status_code == 403
    assert list(refused.json()) == ["error"]
    assert "access-control-allow-origin" not in refused.headers
    answer = target.client.get("/v1/models", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("proxy_config", [["*"]], indirect=True)
def test_every_page_may_where_that_is_said(target: Any) -> None:
    """`*` is for all of them, but for none that reaches into the local network."""
    answer = target.client.options("/v1/chat/completions", headers=PREFLIGHT)
    assert answer.headers["access-control-allow-origin"] == "*"
    inside = {**PREFLIGHT, "access-control-request-private-network": "true"}
    assert target.client.options("/v1/chat/completions", headers=inside).status_code == 403


def test_a_named_page_may_reach_into_the_local_network(target: Any) -> None:
    """Where the proxy usually is."""
    inside = {**PREFLIGHT, "access-control-request-private-network": "true"}
    answer = target.client.options("/v1/chat/completions", headers=inside)
    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("proxy_config", [[], None], indirect=True)
def test_by_default_no_page_may(target: Any) -> None:
    """A preflight is a method that isn't allowed, and no answer says anything about origins."""
    answer = target.client.options("/v1/chat/completions", headers=PREFLIGHT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert (
        "access-control-allow-origin" not in target.client.get("/v1/models", headers={"origin": PAGE}).headers
    )

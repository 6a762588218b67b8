"""Explains a patch of a name that doesn't exist: which name was meant."""

from __future__ import annotations

import re

SEAMS = {
    "httpx.AsyncClient": "return_value=mock_httpx_client",
    "litellm.acompletion": "AsyncMock(return_value=mock_model_response('Hello'))",
    "litellm.anthropic.messages.acreate": "AsyncMock(return_value=mock_message_response('Hello'))",
    "proxies.sessions.ProxySessionManager.get_session": "AsyncMock(return_value=mock_httpx_client)",
    "proxies.sessions.LiteLLMSessionManager.get_session": "AsyncMock(return_value=mock_litellm_session)",
}
"""The names that the proxies look up when they call, and what to patch in there."""

_MISSING = (
    # unittest.mock, of a module and of a class
    re.compile(
        r"<(?:module|class) '(?P<place>(?:proxies|litellm|httpx)[\w.]*)'.*does not have the attribute '(?P<name>\w+)'"
    ),
    # pytest's monkeypatch, by a dotted name and by an object
    re.compile(r"object at (?P<place>(?:proxies|litellm|httpx)[\w.]*) has no attribute '(?P<name>\w+)'"),
    re.compile(r"module '(?P<place>(?:proxies|litellm|httpx)[\w.]*)'.* has no attribute '(?P<name>\w+)'"),
    re.compile(r"No module named '(?P<place>proxies)\.(?P<name>[\w.]+)'"),
)


def hint(error: BaseException) -> str | None:
    """Return a sentence for an exception that comes of patching a name which the proxies don't have."""
    if not isinstance(error, AttributeError | ImportError):
        return None
    for pattern in _MISSING:
        if found := pattern.search(str(error)):
            place, name = found["place"], found["name"]
            meant = _meant(f"{place}.{name}")
            written = " or ".join(f"patch({seam!r}, {SEAMS[seam]})" for seam in meant)
            return f"There is no {place}.{name} to patch: the proxies look other names up. Write {written}."
    return None


def _meant(wrong: str) -> list[str]:
    last = wrong.rpartition(".")[2].lower()
    if "session" in last or "get_session" in wrong or "SessionManager" in wrong:
        arms = [s for s in SEAMS if s.endswith("get_session")]
        sdk = "sdk" in wrong.lower() or "litellm" in wrong.lower()
        binary = "binary" in wrong.lower() or "ProxySession" in wrong
        return arms if sdk == binary else arms[1:] if sdk else arms[:1]
    if "acreate" in last or "message" in last:
        return ["litellm.anthropic.messages.acreate"]
    if "httpx" in last or "client" in last or "binary" in wrong:
        return ["httpx.AsyncClient"]
    if "completion" in last or "litellm" in last or "sdk" in wrong:
        return ["litellm.acompletion"]
    return list(SEAMS)

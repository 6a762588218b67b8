"""Which headers pass, in one place for both architectures and both directions. Everything else stays out.

client ──> provider   anthropic-version, anthropic-beta, openai-*, traceparent; memory headers are added
provider ──> client   retry-after, x-request-id, request-id, rate limits, openai-*, anthropic-*
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from proxies.errors import ProxyError

_TO_PROVIDER = re.compile(r"anthropic-version|anthropic-beta|openai-[a-z0-9-]+|traceparent")
_TO_CLIENT = re.compile(
    r"retry-after|retry-after-ms|x-request-id|request-id|x-ratelimit-[a-z0-9-]+|ratelimit(-[a-z0-9-]+)?"
    r"|openai-[a-z0-9-]+|anthropic-[a-z0-9-]+"
)
_LITELLM_PREFIX = "llm_provider-"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def for_provider(headers: Mapping[str, str]) -> dict[str, str]:
    """The client's headers that travel on, lower-case names. Raises `ProxyError` 400 for a control character."""
    for name, value in headers.items():
        if _TO_PROVIDER.fullmatch(name.lower()):
            check_control(name, value)
    return _pick(headers, _TO_PROVIDER)


def check_travels(name: str, value: str) -> None:
    """Return when `value` can be sent on as a header, else raise `ProxyError` 400 that names it."""
    if not value.isascii():
        raise ProxyError(400, f"The header '{name}' must be ASCII.", param=name)
    check_control(name, value)


def check_control(name: str, value: str) -> None:
    """Return when `value` has no line end, NUL or other control character but tabs, else raise `ProxyError` 400.

    Servers differ in what they let in; whoever reads the header behind us might see two.
    """
    if _CONTROL.search(value):
        raise ProxyError(400, f"The header '{name}' must not hold control characters.", param=name)


def for_client(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's headers that the client gets, lower-case names; `content-type` is the front's."""
    return _pick(headers, _TO_CLIENT)


def from_litellm(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's own headers out of LiteLLM's, which carry them as `llm_provider-NAME`.

    LiteLLM also makes some up under plain names (a `request-id`, say); those are left out.
    """
    return {
        name.lower().removeprefix(_LITELLM_PREFIX): value
        for name, value in headers.items()
        if name.lower().startswith(_LITELLM_PREFIX)
    }


def _pick(headers: Mapping[str, str], allowed: re.Pattern[str]) -> dict[str, str]:
    """Repeated headers are joined, as HTTP allows; a value that is no ASCII can't travel, and is left out."""
    picked: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        if allowed.fullmatch(name) and value.isascii():
            picked[name] = f"{picked[name]}, {value}" if name in picked else value
    return picked


def check_framing(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Return when raw headers, names in lower case, say once where the body ends; raises `ProxyError` 400.

    Whoever is behind us might believe the other one of two answers.
    """
    names = {name for name, _ in headers}
    if b"transfer-encoding" in names and b"content-length" in names:
        raise ProxyError(400, "The request has both 'content-length' and 'transfer-encoding'.")

"""Which values of a configuration no output may show: what goes by a secret's name, and what addresses hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlsplit

from proxies.support.redact import is_secret_name, register_secret

_SHORTEST = 8  # characters; stand-ins such as `none` would mask ordinary words


def register_secrets(settings: Mapping[str, Any]) -> None:
    """Tell the redactor all secrets of a configuration's plain data, `os.environ/NAME` resolved."""
    for value in _secrets(settings, ""):
        if len(value) >= _SHORTEST:
            register_secret(value)


def _secrets(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item, name)
    elif isinstance(value, str) and is_secret_name(name):
        yield value
    elif isinstance(value, str) and "://" in value:
        yield from _of_address(value)


def _of_address(url: str) -> Iterator[str]:
    """User and password, and what the query calls a secret: as written, and decoded."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    found = [parts.password, parts.username]
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if is_secret_name(unquote_plus(name)):
            found.append(value)
    for value in filter(None, found):
        yield value
        yield unquote_plus(value)

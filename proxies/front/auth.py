"""Who may call: the master key, as `Authorization: Bearer` or in a header of Anthropic's or Azure's clients."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers

from proxies.errors import ProxyError

_HEADERS = ("x-api-key", "api-key")


def check_key(headers: Headers, master_key: str) -> None:
    """Return when one of the given credentials is the key, else raise `ProxyError` 401.

    Every credential is compared whole, so that the time it takes tells nothing about the key.
    """
    given = [value for name in _HEADERS for value in headers.getlist(name)]
    for value in headers.getlist("authorization"):
        scheme, _, credential = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            given.append(credential.strip())
    if not given:
        raise ProxyError(
            401, "No API key was given. Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'."
        )
    # Header values are latin-1 on the wire; compare the bytes that were sent.
    wanted = master_key.encode()
    matches = [hmac.compare_digest(value.encode("latin-1", "replace"), wanted) for value in given]
    if not any(matches):
        raise ProxyError(401, "The API key is not valid.")

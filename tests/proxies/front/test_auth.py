"""Which credentials open the door."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from proxies.errors import ProxyError
from proxies.front.auth import check_key

KEY = "sk-schlüssel-1"


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer  {KEY} ")],
        [("x-api-key", KEY)],
        [("api-key", KEY)],
        [("authorization", "Bearer other"), ("x-api-key", KEY)],
    ],
)
def test_right_key(headers: list[tuple[str, str]]) -> None:
    """The master key opens by any of the headers, whatever another one says."""
    check_key(Headers(raw=[(k.encode(), v.encode()) for k, v in headers]), KEY)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([], "No API key"),
        ([("authorization", f"Basic {KEY}")], "No API key"),
        ([("authorization", KEY)], "No API key"),
        ([("authorization", "Bearer")], "not valid"),
        ([("authorization", f"Bearer {KEY}x")], "not valid"),
        ([("x-api-key", "")], "not valid"),
        ([("x-api-key", KEY[:-1])], "not valid"),
        ([("api-key", KEY[:-1])], "not valid"),
    ],
)
def test_wrong_or_missing_key(headers: list[tuple[str, str]], message: str) -> None:
    """Anything else is a 401 that doesn't repeat what was sent."""
    with pytest.raises(ProxyError, match=message) as caught:
        check_key(Headers(raw=[(k.encode(), v.encode()) for k, v in headers]), KEY)
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert KEY[:-1] not in caught.value.message
